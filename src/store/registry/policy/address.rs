//! Which IP addresses are everybody's, and which only mean something near us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a host is, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// A name, which is judged when it is resolved, or a public address.
    Anywhere,
    /// An address, or a name of this machine, that means something else for everybody else.
    Private,
    /// Where machines ask about themselves: cloud metadata services, which give out credentials.
    /// No registry lives there.
    Metadata,
}

/// Whether an address is the same for everybody (the special-purpose registries of IANA: RFC 6890
/// and those after it). What is reserved is not.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The reach of a host as it stands in a parsed URL.
pub(super) fn reach(host: &str) -> Reach {
    let Some(address) = literal(host) else {
        // RFC 6761, 6.3: these names never leave the machine.
        let name = host.strip_suffix('.').unwrap_or(host);
        return match name == "localhost" || name.ends_with(".localhost") {
            true => Reach::Private,
            false => Reach::Anywhere,
        };
    };
    match address {
        _ if is_public(address) => Reach::Anywhere,
        _ if is_metadata(address) => Reach::Metadata,
        _ => Reach::Private,
    }
}

/// The address, if a host of a parsed URL is one. `Url` has brought all ways to write one into the
/// usual form.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(host).parse().ok()
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_reserved = matches!(
        address.octets(),
        // This network, loopback (RFC 1122), multicast, reserved, broadcast; private (RFC 1918).
        [0 | 10 | 127 | 224..=255, ..] | [172, 16..=31, ..] | [192, 168, ..]
        // Carrier-grade NAT (RFC 6598), link-local (RFC 3927).
        | [100, 64..=127, ..] | [169, 254, ..]
        // Protocol assignments (RFC 6890), documentation (RFC 5737), 6to4 relays (RFC 7526).
        | [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _]
        // Benchmarking (RFC 2544).
        | [198, 18 | 19, ..]
        // The host's own services in Azure, at an address that looks public.
        | [168, 63, 129, 16]
    );
    !is_reserved
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = embedded(address) {
        return is_public_v4(inner);
    }
    match address.segments() {
        // Protocol assignments, with Teredo, ORCHID and benchmarking in them (RFC 2928), and
        // documentation (RFC 3849, RFC 9637).
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // All else that is public lies in 2000::/3 (RFC 4291, 2.4): no loopback, unspecified,
        // link-local, unique local or multicast address does.
        [first, ..] => first >> 13 == 1,
    }
}

/// The IPv4 address that an IPv6 address leads to.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // IPv4-mapped (RFC 4291), and NAT64 (RFC 6052), which IPv6-only networks need.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(from(high, low))
        }
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(from(high, low)),
        // The IPv4-compatible form is given up, and public in no case.
        _ => None,
    }
}

/// Link-local addresses, unspecified ones, and what clouds use beside them.
pub(crate) fn is_metadata(address: IpAddr) -> bool {
    let v4 = match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(address) => embedded(address).or_else(|| compatible(address)),
    };
    if let Some(address) = v4 {
        let fixed = [[168, 63, 129, 16], [100, 100, 100, 200], [192, 0, 0, 192]];
        return address.is_link_local()
            || address.is_unspecified()
            || fixed.contains(&address.octets());
    }
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => {
            // Amazon's metadata service over IPv6.
            let amazon = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
            address.is_unicast_link_local() || address.is_unspecified() || address == amazon
        }
    }
}

/// The IPv4 address of the form `::1.2.3.4`, which RFC 4291 gave up.
fn compatible(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let is_form = address.segments().starts_with(&[0; 6]) && !address.is_loopback();
    is_form.then(|| Ipv4Addr::from_bits(u32::try_from(address.to_bits()).unwrap_or_default()))
}
