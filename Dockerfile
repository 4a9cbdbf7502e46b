# The service in a container.
#
#   docker build -t latentd .
#   docker run --rm -p 127.0.0.1:8080:8080 -v latentd-data:/data latentd
#
# For NVIDIA GPUs (a much larger image; run it with --gpus all):
#
#   docker build -t latentd:cuda --build-arg LIBTORCH_VARIANT=cuda .

# The PyTorch libraries bring every CUDA library they use, so a CUDA base image is not needed: only
# the driver comes from the host. Another base with glibc 2.36 or newer can be given here.
ARG RUNTIME_IMAGE=debian:bookworm-slim

# --- libtorch: in a stage of its own, so that a change of the source does not fetch it again ------

FROM rust:1.95-bookworm AS libtorch
ARG LIBTORCH_VARIANT=cpu
# The versions of Debian's packages are left open: they change with every security fix.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
COPY scripts/libtorch.sh /tmp/libtorch.sh
# Moved to a place without version or variant in its name, for the stages below.
RUN LATENTD_CACHE=/opt/cache LATENTD_LIBTORCH=${LIBTORCH_VARIANT} /tmp/libtorch.sh \
    && mv "/opt/cache/libtorch-2.13.0-${LIBTORCH_VARIANT}" /opt/libtorch

# --- build ----------------------------------------------------------------------------------------

FROM libtorch AS build
WORKDIR /src
ENV LIBTORCH=/opt/libtorch/torch
# Without a source of its own the package still compiles every dependency, and that layer is used
# again until the list of dependencies changes.
COPY Cargo.toml Cargo.lock build.rs ./
COPY crates/models/Cargo.toml crates/models/build.rs crates/models/
RUN mkdir -p src tests/it crates/models/src \
    && echo 'fn main() {}' >src/main.rs \
    && touch src/lib.rs tests/it/main.rs crates/models/src/lib.rs \
    && cargo build --release --locked \
    && rm -rf src tests crates/models/src
COPY . .
# The files just copied can be older than the placeholders that were compiled above.
RUN touch src/*.rs crates/models/src/*.rs && cargo build --release --locked
# The binary looks for libtorch in lib/ beside itself, and libtorch looks for the NVIDIA libraries
# in ../../nvidia as seen from there. The wheels' terms go along with the libraries.
WORKDIR /out
RUN mkdir -p latentd/bin/lib latentd/nvidia \
    && cp /src/target/release/latentd latentd/bin/ \
    && find /opt/libtorch/torch/lib -maxdepth 1 -name '*.so*' ! -name 'libtorch_python*' \
        -exec cp -P {} latentd/bin/lib/ ';' \
    && cp -a /opt/libtorch/nvidia/. latentd/nvidia/ \
    && cp -a /opt/libtorch/licenses latentd/licenses

# --- run ------------------------------------------------------------------------------------------

FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title="latentd" \
      org.opencontainers.image.description="Trains and serves latent-variable models over HTTP" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# A fixed uid, so that the owner of files in a mounted folder can be set beforehand. Its group is 0, which may write
# to /data: platforms that choose a uid of their own run it in that group, and change the uid at an upgrade.
RUN useradd --uid 10001 --gid 0 --no-create-home --home-dir /data --shell /usr/sbin/nologin latentd \
    && install -d -o latentd -g root -m 2770 /data
COPY --from=build /out/latentd /opt/latentd
# The slim image has none, and webhooks over https are checked against them.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY LICENSE-MIT LICENSE-APACHE /opt/latentd/licenses/
# Starting it once while building shows a missing library here, and not at the first start.
RUN ln -s /opt/latentd/bin/latentd /usr/local/bin/latentd && latentd --version
ENV LATENTD_LISTEN=0.0.0.0:8080 \
    LATENTD_DATA_DIR=/data \
    LATENTD_UMASK=0007
USER 10001:0
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# The slim image has no curl; the binary asks its own /readyz.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["latentd", "health"]
ENTRYPOINT ["latentd"]
CMD ["serve"]
