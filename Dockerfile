# The operator's image: one static program, a CA bundle, nothing else. No shell, no package manager, not root.
#
#   docker build -t anomalyjob-operator .
#   docker build -t anomalyjob-operator --build-arg BINARY_FROM=prebuilt .
#
# The second takes prebuilt/anomalyjob-operator and prebuilt/ca-certificates.crt instead of compiling, and pulls no base
# image; it is what tests/chart/image builds and examines.
ARG BINARY_FROM=build
# That of rust-toolchain.toml, which stays outside: rustup would fetch the formatter and the linter that it names.
ARG RUST_VERSION=1.95.0

FROM rust:${RUST_VERSION}-bookworm AS build
WORKDIR /source
# Statically linked, glibc included. With --target the flag leaves alone what runs during the build (proc macros cannot
# be static), so the target has to be named even though it is the machine's own.
ENV RUSTFLAGS="-C target-feature=+crt-static"
# The dependencies, in a layer that lasts until Cargo.lock changes. Cargo wants the manifest of every workspace member
# and a source file for each; the simulator and the fuzz targets are no part of the image.
COPY Cargo.toml Cargo.lock ./
COPY tests/simulator/Cargo.toml tests/simulator/
COPY tests/fuzz/Cargo.toml tests/fuzz/
RUN mkdir -p src tests/simulator/src tests/fuzz/src tests/fuzz/targets \
 && echo 'fn main() {}' > src/main.rs \
 && cp src/main.rs tests/simulator/src/main.rs \
 && for target in answers certificates secrets urls; do cp src/main.rs "tests/fuzz/targets/$target.rs"; done \
 && touch src/lib.rs tests/simulator/src/lib.rs tests/fuzz/src/lib.rs \
 && cargo build --release --locked --bin anomalyjob-operator --target "$(uname -m)-unknown-linux-gnu"
COPY src/ src/
# Cargo goes by file times: the copied sources must be newer than the stand-ins that were just compiled.
RUN find src -type f -exec touch {} + \
 && cargo build --release --locked --bin anomalyjob-operator --target "$(uname -m)-unknown-linux-gnu" \
 && install -D "target/$(uname -m)-unknown-linux-gnu/release/anomalyjob-operator" /image/anomalyjob-operator \
 && install -D -m 644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt

FROM scratch AS prebuilt
COPY prebuilt/anomalyjob-operator /image/anomalyjob-operator
COPY prebuilt/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt

# hadolint ignore=DL3006
FROM ${BINARY_FROM} AS binary

FROM scratch
LABEL org.opencontainers.image.title="anomalyjob-operator" \
      org.opencontainers.image.description="Closes Elasticsearch anomaly detection jobs from Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=binary /image/ /
# Two threads gain nothing from heaps of their own, and what a list of thousands needed for a moment is given back: a
# quarter less resident memory with ten thousand objects (tests/bench/run measures with the same values).
ENV MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=65536 MALLOC_TRIM_THRESHOLD_=65536
USER 65532:65532
ENTRYPOINT ["/anomalyjob-operator"]
CMD ["run"]
