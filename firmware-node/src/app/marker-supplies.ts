/** The engine's inks as the backend is told of them. */
import { create } from "@bufbuild/protobuf";
import { type MarkerSupply, MarkerSupplySchema } from "@platen/proto";
import type { Supply } from "../ports/engine-driver.ts";

export const markerSupplies = (supplies: readonly Supply[]): MarkerSupply[] =>
  supplies.map(({ colorant, levelPercent }) =>
    create(MarkerSupplySchema, { colorant, ...(levelPercent !== undefined && { levelPercent }) }),
  );
