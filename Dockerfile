# syntax=docker/dockerfile:1

# The toolchain of rust-toolchain.toml, and the same Debian as the image that it runs in.
FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
# Members of the workspace: cargo wants to see their manifests, and builds nothing of them.
COPY tests/fuzz tests/fuzz
COPY tests/sandbox tests/sandbox
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package mooring --bin mooring \
    && install -D target/release/mooring /out/mooring

# glibc, certificate authorities and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mooring" \
      org.opencontainers.image.description="Moors Amazon EKS clusters to Argo CD, with no long-lived credential." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/mooring /mooring
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/mooring"]
