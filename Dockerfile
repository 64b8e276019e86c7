# syntax=docker/dockerfile:1
# txgatewayd on its paper broker:
#   docker build -t txgateway .
#   docker run -e TXGATEWAY_PASSWORD=... -e TXGATEWAY_ALLOW_INSECURE=1 -v txgateway:/data \
#       -p 127.0.0.1:50080:50080 -p 127.0.0.1:50090:50090 txgateway
# Inside it listens on all of the container's addresses without TLS, which has to be allowed by name; publish the
# ports on a loopback or private address only. Every setting is a variable: see etc/txgateway.env.

FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv /opt/txgateway \
    && /opt/txgateway/bin/pip install --no-cache-dir --disable-pip-version-check .

FROM python:3.12-slim
COPY --from=build /opt/txgateway /opt/txgateway
RUN useradd --system --user-group --uid 10001 --home-dir /data --shell /usr/sbin/nologin txgateway \
    && install -d -o txgateway -g txgateway -m 0700 /data
ENV PATH=/opt/txgateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TXGATEWAY_HOST=0.0.0.0 \
    TXGATEWAY_DATA_DIR=/data
USER txgateway
WORKDIR /data
VOLUME /data
EXPOSE 50080 50090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('TXGATEWAY_HTTP_PORT') or 50080), timeout=4); c.request('GET', '/health'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["txgatewayd"]
