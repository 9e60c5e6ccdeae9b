# An image of corl-bench. By default it serves a routing system; `docker run IMAGE run …` and every
# other verb work as well. docs/serving.md shows how to use it.
#
#   docker build -t corl-bench .
#   docker run -p 8080:8080 -v "$PWD/config:/config:ro" -v corl:/data -e OPENAI_API_KEY corl-bench

FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
# More extras, where a system needs them: --build-arg EXTRAS=serve,hf
ARG EXTRAS=serve
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir "$(ls /wheels/*.whl)[${EXTRAS}]" \
    && rm -r /wheels \
    && useradd --system --uid 10001 --home-dir /data --create-home corl
USER corl
WORKDIR /data
# The ledger: what was spent must outlive the container.
VOLUME /data
EXPOSE 8080
# A stop takes as long as calls in flight; give it time: docker stop --time 70.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD \
    ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
ENTRYPOINT ["corl-bench"]
CMD ["serve", "--system", "controller:/config", "--pool", "/config/pool.toml", \
     "--keys", "/config/keys.toml", "--out", "/data/served", "--host", "0.0.0.0", "--port", "8080"]
