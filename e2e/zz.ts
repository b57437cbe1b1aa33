import { distributedSystem } from "./support/system.ts";
const t0 = Date.now();
const s = await distributedSystem();
console.log("up", Date.now() - t0);
for (const p of s.processes) {
  const t = Date.now();
  await Promise.race([p[Symbol.asyncDispose](), new Promise((r) => setTimeout(() => r("x"), 8000))]);
  console.log(p.role, p.process.exitCode, p.process.signalCode, Date.now() - t);
}
console.log("rest");
await s[Symbol.asyncDispose]();
console.log("done", Date.now() - t0);
