/** Where Debian's packages come from: this machine's own mirror, Debian's, or what they once were. */
import { run } from "./command.ts";

export interface Mirrors {
  /** URLs without a slash at the end. */
  readonly archive: string;
  readonly security: string;
  /** They serve a day of the past: that their lists are no longer valid says nothing. */
  readonly past: boolean;
}

export const publicMirrors: Mirrors = {
  archive: "http://deb.debian.org/debian",
  security: "http://deb.debian.org/debian-security",
  past: false,
};

/** URI, origin and label, as `apt-get indextargets --format` writes them. */
const format = "$(REPO_URI) $(ORIGIN) $(LABEL)";

/** The first mirror of each kind that is Debian's own and on the net. */
export function mirrorsIn(targets: string): Partial<Pick<Mirrors, "archive" | "security">> {
  const first = (label: string): string | undefined =>
    targets
      .split("\n")
      .map((line) => line.split(" "))
      .find(([uri, origin, its]) => /^https?:/.test(uri!) && origin === "Debian" && its === label)?.[0]
      ?.replace(/\/+$/, "");
  const [archive, security] = [first("Debian"), first("Debian-Security")];
  return { ...(archive && { archive }), ...(security && { security }) };
}

/** What this machine's apt is set to, or Debian's public mirror where it is set to nothing of Debian's. */
export async function ownMirrors(signal?: AbortSignal): Promise<Mirrors> {
  const args = ["indextargets", "--format", format, "Created-By: Packages"];
  // No apt, or none that knows this: not a Debian.
  const targets = await run("apt-get", args, { signal }).catch(() => "");
  signal?.throwIfAborted();
  return { ...publicMirrors, ...mirrorsIn(targets) };
}

/** All packages that Debian ever had, as they were then: https://snapshot.debian.org. */
export function snapshotMirrors(epochS: number): Mirrors {
  const time = new Date(epochS * 1000).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const at = (archive: string) => `http://snapshot.debian.org/archive/${archive}/${time}`;
  return { archive: at("debian"), security: at("debian-security"), past: true };
}
