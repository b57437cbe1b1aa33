/** Where a printer keeps the key that its first registration gave it. */
export interface KeyStore {
  /** The key, or "" before the first registration. */
  load(): Promise<string>;
  save(printerKey: string): Promise<void>;
}
