/** A condition that must hold does not; the message is for people. */
export class Failed extends Error {
  override readonly name = "Failed";
}
