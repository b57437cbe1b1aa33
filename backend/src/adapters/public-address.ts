/** Which addresses are of the internet at large, and not of this machine, its networks, or what guards them. */
import { BlockList, isIP } from "node:net";

/** IANA IPv4 Special-Purpose Address Registry, multicast, and what clouds keep for themselves. */
const specialIpv4 = [
  "0.0.0.0/8", // this network
  "10.0.0.0/8", // private
  "100.64.0.0/10", // shared by carriers; also a cloud's metadata
  "127.0.0.0/8", // loopback
  "168.63.129.16/32", // a cloud's metadata, on a public address
  "169.254.0.0/16", // link-local, metadata of most clouds
  "172.16.0.0/12", // private
  "192.0.0.0/24", // protocol assignments; also a cloud's metadata
  "192.0.2.0/24", // documentation
  "192.88.99.0/24", // 6to4 relays
  "192.168.0.0/16", // private
  "198.18.0.0/15", // benchmarks
  "198.51.100.0/24", // documentation
  "203.0.113.0/24", // documentation
  "224.0.0.0/4", // multicast
  "240.0.0.0/4", // reserved, and broadcast
] as const;

/** IANA IPv6 Special-Purpose Address Registry and multicast. */
const specialIpv6 = [
  "::/127", // unspecified, loopback
  "64:ff9b:1::/48", // local translation to IPv4
  "100::/64", // discard
  "2001::/23", // protocol assignments, Teredo among them
  "2001:db8::/32", // documentation
  "2002::/16", // 6to4
  "3fff::/20", // documentation
  "5f00::/16", // segment routing
  "fc00::/7", // private
  "fe80::/10", // link-local
  "fec0::/10", // site-local
  "ff00::/8", // multicast
] as const;

const special = new BlockList();
for (const range of specialIpv4) {
  const [network, bits] = range.split("/") as [string, string];
  special.addSubnet(network, Number(bits), "ipv4");
  // The same behind a network's translation from IPv6 (RFC 6052); IPv4 mapped into IPv6 is looked up as IPv4 anyway.
  special.addSubnet(`64:ff9b::${network}`, 96 + Number(bits), "ipv6");
}
for (const range of specialIpv6) {
  const [network, bits] = range.split("/") as [string, string];
  special.addSubnet(network, Number(bits), "ipv6");
}

/** Whether an IP address is public. Anything that is no IP address is not. */
export function isPublicAddress(address: string): boolean {
  const version = isIP(address);
  return version !== 0 && !special.check(address, version === 6 ? "ipv6" : "ipv4");
}
