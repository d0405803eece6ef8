# docker build -t tapeline:0.1.0 .      docs/deploy.md says how it is run, and how this file was checked.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# No install scripts: the one that the compiler's dependencies have brings a second Node. No workspaces: they are for tests.
RUN npm ci --workspaces=false --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json tsconfig.client.json ./
COPY src src
COPY dashboard dashboard
RUN npm run build

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --workspaces=false --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="Tapeline" \
      org.opencontainers.image.description="Market data from exchanges to Kafka, TimescaleDB and your applications" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/node:24.21.0-bookworm-slim"

# One port for all roles: of the API, or where a process has no gateway, of its health and metrics. Beyond the container's own
# loopback the API wants keys: without TAPELINE_API_KEYS it refuses to start.
ENV NODE_ENV=production \
    TAPELINE_DATA=/var/lib/tapeline \
    TAPELINE_GATEWAY_HOST=0.0.0.0 \
    TAPELINE_GATEWAY_PORT=8080 \
    TAPELINE_OPERATIONS_HOST=0.0.0.0 \
    TAPELINE_OPERATIONS_PORT=8080

COPY package.json LICENSE /opt/tapeline/
COPY bin /opt/tapeline/bin
COPY --from=dependencies /build/node_modules /opt/tapeline/node_modules
COPY --from=build /build/dist /opt/tapeline/dist
RUN chmod 0755 /opt/tapeline/bin/tapeline.mjs \
 && ln -s /opt/tapeline/bin/tapeline.mjs /usr/local/bin/tapeline \
 && install -d -o 1000 -g 1000 -m 0750 /var/lib/tapeline

# The user node of the base image, as a number, so that Kubernetes can see that it is not root.
USER 1000:1000
# A tapeline.yaml that is mounted here is read without a flag.
WORKDIR /etc/tapeline
VOLUME /var/lib/tapeline
EXPOSE 8080
STOPSIGNAL SIGTERM
# Whether the process is alive. It answers once its servers do, which it waits for: the start period is for that.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/opt/tapeline/bin/tapeline.mjs"]
CMD ["up"]
