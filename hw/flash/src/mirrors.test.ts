import { expect, test } from "vitest";
import { mirrorsIn, snapshotMirrors } from "./mirrors.ts";

test("a mirror that apt of this machine is set to is taken, for each of the archives", () => {
  const targets = [
    "https://deb.nodesource.com/node_24.x/ nodistro . nodistro",
    "cdrom://disc/ Debian Debian",
    "http://mirror.example/debian/ Debian Debian",
    "http://other.example/debian/ Debian Debian",
    "https://security.example/ Debian Debian-Security",
    "",
  ].join("\n");
  expect(mirrorsIn(targets)).toEqual({
    archive: "http://mirror.example/debian",
    security: "https://security.example",
  });
});

test("other systems' archives are no mirrors of Debian's", () => {
  expect(mirrorsIn("http://archive.ubuntu.com/ubuntu/ Ubuntu Ubuntu\n")).toEqual({});
  expect(mirrorsIn("")).toEqual({});
});

test("a day of the past is named as snapshot.debian.org does", () => {
  expect(snapshotMirrors(Date.parse("2026-11-22T21:59:27Z") / 1000)).toEqual({
    archive: "http://snapshot.debian.org/archive/debian/20261122T215927Z",
    security: "http://snapshot.debian.org/archive/debian-security/20261122T215927Z",
    past: true,
  });
});
