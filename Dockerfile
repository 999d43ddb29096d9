# The control plane and the sample shop in one image. The first stage installs everything, which builds dist/ (the package's own
# `prepare`), and then drops what only building needs; the second keeps the result, and runs it as nobody special.
FROM node:22-slim AS build
WORKDIR /app
COPY . .
RUN npm ci && npm prune --omit=dev --ignore-scripts

FROM node:22-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 7480 7400
ENTRYPOINT ["node"]
# Reachable from inside the container only; publish it with addresses, TLS and tokens of your own (docs/configuration.md).
CMD ["/app/dist/cli/main.js", "up", "--store", "embedded:/data"]
