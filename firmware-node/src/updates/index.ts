/** What makes bundles, and what puts them onto boards. */
export { Board } from "./board.ts";
export { packBundle, verifyBundle } from "./bundle.ts";
