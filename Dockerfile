# One build, three images that hold one static binary each and no shell:
#
#   docker build --target portal  -t licensing-portal .
#   docker build --target migrate -t licensing-portal-migrate .
#   docker build --target signer  -t licensing-signer .

FROM golang:1.26-bookworm AS build
WORKDIR /src
ENV CGO_ENABLED=0
COPY go.mod go.sum ./
COPY license/go.mod license/go.mod
RUN go mod download
COPY license license
COPY migrations migrations
COPY internal internal
COPY web web
COPY cmd cmd
RUN go build -trimpath -o /out/ ./cmd/portal ./cmd/signer
# A volume takes owner and mode from the image's directory when it is first used.
# What the signer makes in its socket's directory belongs to the group 10003,
# which the portal is given too.
RUN mkdir -p /volumes/socket /volumes/store \
    && chown 10002:10003 /volumes/socket && chmod 2750 /volumes/socket \
    && chown 10002:10002 /volumes/store && chmod 0700 /volumes/store

FROM gcr.io/distroless/static-debian12 AS portal
COPY --from=build /out/portal /portal
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["/portal"]
CMD ["serve"]

FROM portal AS migrate
ENTRYPOINT ["/portal", "migrate"]
CMD []

FROM gcr.io/distroless/static-debian12 AS signer
COPY --from=build /out/signer /signer
COPY --from=build /volumes/socket /run/signer
COPY --from=build /volumes/store /var/lib/signer
USER 10002:10002
ENTRYPOINT ["/signer"]
CMD ["serve", "-config", "/etc/signer/signer.json"]
