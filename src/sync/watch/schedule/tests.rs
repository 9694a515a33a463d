use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn table(cron: &str, zone: &str, jitter: Duration) -> Timetable {
    let schedule = Schedule {
        cron: cron.parse().unwrap(),
        zone: zone.into(),
        jitter,
        deadline: None,
    };
    Timetable::of(&schedule, "host sync.yaml").unwrap()
}

const NO: Duration = Duration::ZERO;

#[test]
fn the_next_beginning_is_after_now() {
    for (cron, zone, now, next) in [
        (
            "0 2 * * *",
            "UTC",
            "2026-11-21T01:59:59.9Z",
            "2026-11-21T02:00:00Z",
        ),
        (
            "0 2 * * *",
            "UTC",
            "2026-11-21T02:00:00Z",
            "2026-11-22T02:00:00Z",
        ),
        (
            "0 2 * * *",
            "UTC",
            "2026-11-21T02:00:00.5Z",
            "2026-11-22T02:00:00Z",
        ),
        (
            "0 2 * * *",
            "Asia/Kolkata",
            "2026-11-21T12:00:00Z",
            "2026-11-21T20:30:00Z",
        ),
        // 02:30 is not there on this day, and there twice on that.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            "2026-03-29T01:00:00Z",
        ),
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-29T01:00:00Z",
            "2026-03-30T00:30:00Z",
        ),
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            "2026-10-25T00:30:00Z",
        ),
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:30:00Z",
        ),
    ] {
        let found = table(cron, zone, NO).next(at(now));
        assert_eq!(found, Some(at(next)), "{cron} in {zone} after {now}");
    }
}

/// A clock that is moved by hand.
fn runs(table: &Timetable, start: &str, took: &[&str]) -> Vec<String> {
    let mut now = at(start);
    let mut begun = Vec::new();
    for end in took {
        let due = table.next(now).unwrap();
        // Whoever was asleep begins when waking up.
        let begins = due.max(now);
        begun.push(begins.to_string());
        now = at(end).max(begins);
    }
    begun
}

#[test]
fn what_comes_during_a_run_is_left_out() {
    let hourly = table("0 * * * *", "UTC", NO);
    let ends = [
        "2026-11-21T01:10:00Z",
        "2026-11-21T04:30:00Z",
        "2026-11-21T05:00:00Z",
        "2026-11-21T06:01:00Z",
    ];
    let begun = runs(&hourly, "2026-11-21T00:30:00Z", &ends);
    let wanted = [
        "2026-11-21T01:00:00Z",
        "2026-11-21T02:00:00Z",
        "2026-11-21T05:00:00Z",
        "2026-11-21T06:00:00Z",
    ];
    assert_eq!(begun, wanted);
}

#[test]
fn equal_distances_stay_a_grid() {
    let every = Timetable::every(Duration::from_hours(1), at("2026-11-21T00:30:00Z"));
    let ends = [
        "2026-11-21T01:40:00Z",
        "2026-11-21T04:31:00Z",
        "2026-11-21T05:31:00Z",
    ];
    let begun = runs(&every, "2026-11-21T00:30:00Z", &ends);
    assert_eq!(
        begun,
        [
            "2026-11-21T01:30:00Z",
            "2026-11-21T02:30:00Z",
            "2026-11-21T05:30:00Z"
        ]
    );
}

#[test]
fn a_delay_is_chance_that_stays() {
    let jitter = Duration::from_mins(10);
    let daily = table("0 2 * * *", "UTC", jitter);
    let first = daily.next(at("2026-11-21T00:00:00Z")).unwrap();
    let time = at("2026-11-21T02:00:00Z");
    assert!(
        first > time && first.duration_since(time).unsigned_abs() < jitter,
        "{first}"
    );
    // Another process between the time and the beginning comes to the same.
    assert_eq!(daily.clone().next(time), Some(first));
    // From the beginning on it is tomorrow's turn, with another delay.
    let second = daily.next(first).unwrap();
    assert!(second > at("2026-11-22T02:00:00Z"), "{second}");
    assert_ne!(second.duration_since(first), SignedDuration::from_hours(24));
    let mut other = daily.clone();
    other.seed = "elsewhere sync.yaml".into();
    assert_ne!(other.next(time), Some(first));
}

#[test]
fn no_delay_reaches_the_next_time() {
    let often = table("*/5 * * * *", "UTC", Duration::from_hours(24 * 365));
    let mut now = at("2026-11-21T00:00:00Z");
    for n in 0..100 {
        let next = often.next(now).unwrap();
        let time = at("2026-11-21T00:00:00Z") + SignedDuration::from_mins(5 * n);
        let delay = next.duration_since(time);
        assert!(next > now && delay >= SignedDuration::ZERO, "{now} {next}");
        assert!(delay < SignedDuration::from_mins(5), "{time} {next}");
        now = next;
    }
}

#[test]
fn two_times_ago_is_told() {
    let daily = table("30 2 * * *", "Europe/Berlin", NO);
    for (now, wanted) in [
        ("2026-03-29T12:00:00Z", "2026-03-28T01:30:00Z"),
        ("2026-03-30T00:30:00Z", "2026-03-29T01:00:00Z"),
        ("2026-10-26T12:00:00Z", "2026-10-25T00:30:00Z"),
    ] {
        assert_eq!(daily.last_but_one(at(now)), Some(at(wanted)), "{now}");
    }
    let every = Timetable::every(Duration::from_hours(1), at("2026-11-21T00:00:00Z"));
    assert_eq!(every.last_but_one(at("2026-11-21T01:59:00Z")), None);
    let two = every.last_but_one(at("2026-11-21T02:00:00Z"));
    assert_eq!(two, Some(at("2026-11-21T01:00:00Z")));
}

#[test]
fn the_ends_of_time_are_no_panic() {
    for moment in [Timestamp::MIN, Timestamp::MAX] {
        for table in [
            table("0 2 * * *", "UTC", Duration::MAX),
            Timetable::every(Duration::MAX, moment),
            Timetable::every(Duration::ZERO, moment),
        ] {
            let _ = (table.next(moment), table.last_but_one(moment));
        }
    }
}
