# imgcopy and nothing else: one static binary, an empty /tmp, no shell, no root.
#
#   docker build -t imgcopy .
#   docker run --rm -v "$PWD:/work:ro" -w /work imgcopy sync sync.yaml --dry-run
#
# The authorities that browsers trust are in the binary; others come with `ca:` in sync.yaml or SSL_CERT_FILE.
FROM rust:1.95-alpine AS build
# A C compiler and musl: aws-lc, zstd, libdeflate and xz are built from the sources in their packages.
RUN apk add --no-cache build-base
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
# On Alpine, Rust links statically without being asked.
RUN cargo build --release --locked --bin imgcopy
RUN install -D -m 755 target/release/imgcopy /root-fs/imgcopy && install -d -m 1777 /root-fs/tmp

# For CI systems that need a shell in the image: docker build --target shell.
FROM alpine:3.22 AS shell
COPY --from=build /root-fs/imgcopy /usr/local/bin/imgcopy

FROM scratch
COPY --from=build /root-fs /
USER 65532:65532
ENTRYPOINT ["/imgcopy"]
