import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{proto,balancer,backend,hw,firmware-node,e2e,samples,bench}/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
