import { expect, test } from "vitest";
import { isPublicAddress } from "./public-address.ts";

test.each([
  "1.1.1.1",
  "93.184.215.14",
  "172.15.255.255",
  "172.32.0.1",
  "100.128.0.1",
  "2606:4700:4700::1111",
  "::ffff:1.1.1.1",
  "64:ff9b::1.1.1.1",
])("%s is public", (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

test.each([
  ["this network", "0.0.0.0"],
  ["private", "10.255.255.255"],
  ["private", "172.16.0.1"],
  ["private", "172.31.255.255"],
  ["private", "192.168.1.1"],
  ["a carrier's, and a cloud's metadata", "100.100.100.200"],
  ["loopback", "127.0.0.1"],
  ["loopback", "127.255.255.255"],
  ["link-local, and most clouds' metadata", "169.254.169.254"],
  ["a cloud's metadata", "168.63.129.16"],
  ["a cloud's metadata", "192.0.0.192"],
  ["benchmarks", "198.19.0.1"],
  ["multicast", "224.0.0.251"],
  ["broadcast", "255.255.255.255"],
  ["unspecified", "::"],
  ["loopback", "::1"],
  ["loopback in IPv6 clothes", "::ffff:127.0.0.1"],
  ["private in IPv6 clothes, in hexadecimal", "::ffff:a00:1"],
  ["private behind translation", "64:ff9b::10.0.0.1"],
  ["metadata behind translation", "64:ff9b::a9fe:a9fe"],
  ["local translation", "64:ff9b:1::1"],
  ["6to4", "2002:7f00:1::"],
  ["Teredo", "2001::1"],
  ["private", "fd00:ec2::254"],
  ["link-local", "fe80::1"],
  ["link-local with its interface", "fe80::1%lo"],
  ["site-local", "fec0::1"],
  ["multicast", "ff02::fb"],
  ["no address", "example.com"],
  ["no address", ""],
])("%s is not: %s", (_why, address) => {
  expect(isPublicAddress(address)).toBe(false);
});
