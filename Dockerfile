# The CPU image (the last stage, so the default):  docker build -t tercel . && docker run -p 8000:8000 tercel
# Another model:  docker run -p 8000:8000 -v DIR:/model tercel serve --model /model --host 0.0.0.0 --api-key KEY
FROM eclipse-temurin:25-jdk AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN ./mvnw -B -q -pl server -am -DskipTests -Dspotless.check.skip package

# The GPU image:  docker build --target gpu -t tercel-gpu . && docker run --gpus all -p 8000:8000 tercel-gpu
# It wants an image with TornadoVM's SDK for CUDA, as docs/gpu.md says, and JDK 25; not built in this project's tests.
ARG TORNADO_IMAGE=beehivelab/tornadovm-nvidia-openjdk:latest
FROM ${TORNADO_IMAGE} AS gpu
ARG TORNADO_SDK=/opt/tornadovm
ENV TORNADOVM_HOME=${TORNADO_SDK} DJL_CACHE_DIR=/tmp/djl
WORKDIR /opt/tercel
COPY . .
RUN ./mvnw -B -q -pl server,kernels/tornado -am -DskipTests -Dspotless.check.skip package \
    && touch server/target/built kernels/tornado/target/built
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["./tercel"]
CMD ["serve", "--backend", "tornado", "--host", "0.0.0.0"]

# the JDK, not the JRE: the incubating Vector API is one of its modules
FROM eclipse-temurin:25-jdk
# the tokenizer unpacks its native library here
ENV DJL_CACHE_DIR=/tmp/djl
WORKDIR /opt/tercel
COPY --from=build /src/server/target/lib lib
COPY --from=build /src/server/target/classes classes
COPY server/models server/models
EXPOSE 8000
USER 1000
STOPSIGNAL SIGTERM
ENTRYPOINT ["java", "--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow", "-Dai.djl.offline=true", "-Dtercel.home=/opt/tercel", "-XX:+UseParallelGC", "-XX:+ExitOnOutOfMemoryError", "-cp", "/opt/tercel/classes:/opt/tercel/lib/*", "io.tercel.server.cli.Tercel"]
CMD ["serve", "--host", "0.0.0.0"]
