/** The files of the system that the settings make. Pure. */
import { configHome, printerConfigOf, type Settings } from "./settings.ts";

export interface Rendered {
  readonly hostname: string;
  /** The printer's own, by path; readable by nobody else. */
  readonly printer: Readonly<Record<string, string>>;
  /** The system's, by path below /run, so that they are gone with the next start. */
  readonly system: Readonly<Record<string, { readonly text: string; readonly mode: number }>>;
}

type Addresses = NonNullable<NonNullable<Settings["network"]>["wired"]>;

/** systemd.network(5). The MAC names the board to the DHCP server: its machine-id is another at each start. */
function network(
  match: string,
  { address, gateway, dns }: Addresses,
  ntp: readonly string[] | undefined,
): string {
  const lines = ["[Match]", `Name=${match}`, "", "[Network]"];
  if (address === undefined) lines.push("DHCP=yes");
  else lines.push("DHCP=no", `Address=${address}`, ...(gateway ? [`Gateway=${gateway}`] : []));
  for (const server of dns ?? []) lines.push(`DNS=${server}`);
  for (const server of ntp ?? []) lines.push(`NTP=${server}`);
  lines.push("", "[DHCPv4]", "ClientIdentifier=mac", "");
  return lines.join("\n");
}

/** wpa_supplicant.conf(5). Text goes in as hexadecimal digits: no name or passphrase needs quoting. */
function wifi({
  ssid,
  passphrase,
  country,
  hidden,
}: NonNullable<NonNullable<Settings["network"]>["wifi"]>): string {
  const isKey = passphrase !== undefined && /^[0-9a-fA-F]{64}$/.test(passphrase);
  const key =
    passphrase === undefined
      ? ["key_mgmt=NONE"]
      : [
          "key_mgmt=WPA-PSK WPA-PSK-SHA256 SAE",
          "ieee80211w=1",
          `psk=${isKey ? passphrase : `"${passphrase}"`}`,
        ];
  const lines = [`ssid=${Buffer.from(ssid).toString("hex")}`, `scan_ssid=${hidden ? 1 : 0}`, ...key];
  return `country=${country}\nnetwork={\n${lines.map((each) => `  ${each}\n`).join("")}}\n`;
}

/** The line of the engine stays the printer's; others that could be one are taken away again. */
function engineRule(port: string | undefined): string {
  const all = 'SUBSYSTEM=="tty", KERNEL=="ttyUSB*|ttyACM*|ttyAMA*|ttyS*"';
  const rules = [`${all}, GROUP="root", MODE="0600"`];
  const give = 'GROUP="platen", MODE="0660"';
  const [, vendor, product] = /^usb-(\w{4})-(\w{4})$/.exec(port ?? "") ?? [];
  if (vendor && product) {
    rules.push(
      `SUBSYSTEM=="tty", ENV{ID_VENDOR_ID}=="${vendor.toLowerCase()}", ENV{ID_MODEL_ID}=="${product.toLowerCase()}", ${give}`,
    );
  } else if (port) rules.push(`SUBSYSTEM=="tty", KERNEL=="${port.slice("/dev/".length)}", ${give}`);
  return `${rules.join("\n")}\n`;
}

export function render(settings: Settings): Rendered {
  const { backend, engine, network: net, printer } = settings;
  const system: Record<string, { text: string; mode: number }> = {
    "/run/udev/rules.d/71-platen-engine.rules": { text: engineRule(engine.port), mode: 0o644 },
    "/run/systemd/network/10-wired.network": { text: network("e*", net?.wired ?? {}, net?.ntp), mode: 0o644 },
  };
  if (net?.wifi) {
    system["/run/systemd/network/20-wifi.network"] = { text: network("wl*", net.wifi, net.ntp), mode: 0o644 };
    system["/run/platen/wpa_supplicant.conf"] = { text: wifi(net.wifi), mode: 0o600 };
  }
  if (net?.ntp) {
    const text = `[Time]\nNTP=${net.ntp.join(" ")}\n`;
    system["/run/systemd/timesyncd.conf.d/platen.conf"] = { text, mode: 0o644 };
  }
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return {
    hostname:
      net?.hostname ??
      (printer.id
        .toLowerCase()
        .replaceAll(/[^a-z0-9]+/g, "-")
        .replaceAll(/^-+|-+$/g, "") ||
        "platen"),
    printer: {
      [`${configHome}/printer.json`]: json(printerConfigOf(settings)),
      ...(backend.ca && { [`${configHome}/ca.pem`]: backend.ca }),
    },
    system,
  };
}
