/**
 * What a page is made of, and the errors: all that a process needs which makes pages, and asks no server for anything. It loads
 * no gRPC.
 */
export { type ErrorCode, hasCode, isErrorCode, PlatenError, toPlatenError } from "./error.ts";
export {
  type Band,
  BandContent,
  BandEncoding,
  BandSchema,
  type Metafile,
  type MetafilePage,
  MetafileSchema,
} from "./gen/platen/v1/metafile_pb.ts";
export { decodeSizeDelimited, encodeSizeDelimited } from "./size-delimited.ts";
