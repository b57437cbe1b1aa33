/** One address for several servers, as a TCP load balancer gives: a connection goes to the first of them that takes it. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export interface FrontDoor extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
  /** One more server behind it. */
  add(target: string): void;
}

export async function frontDoor(...targets: string[]): Promise<FrontDoor> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on("error", () => {});
    return socket.once("close", () => sockets.delete(socket));
  };
  const open = async (): Promise<Socket | undefined> => {
    for (const target of targets) {
      const colon = target.lastIndexOf(":");
      const socket = keep(connect(Number(target.slice(colon + 1)), target.slice(0, colon)));
      const taken = await once(socket, "connect").then(
        () => true,
        () => false,
      );
      if (taken) return socket;
    }
    return undefined;
  };
  const server = createServer(async (caller) => {
    keep(caller);
    const called = await open();
    if (!called || caller.destroyed) {
      caller.destroy();
      called?.destroy();
      return;
    }
    caller.pipe(called).pipe(caller);
    caller.once("close", () => called.destroy());
    called.once("close", () => caller.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    add: (target) => targets.push(target),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
