/** Where a printer keeps its key. */
export interface KeyStore {
  /** The key, or "" where none is kept yet. */
  load(): Promise<string>;
  /** No power cut takes the key back once this resolves. */
  save(printerKey: string): Promise<void>;
}
