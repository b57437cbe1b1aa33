/** DownloadInstructorService and ConversionInstructorService. */
import { bindService, ConversionInstructorService, DownloadInstructorService } from "@platen/proto";
import type { Instructors } from "../app/instructors.ts";

export const instructorServices = (instructors: Instructors) => [
  bindService(DownloadInstructorService, {
    instructDownload: async (request, { signal }) => ({
      download: await instructors.download(request, signal),
    }),
  }),
  bindService(ConversionInstructorService, {
    instructConversion: async function* (request, { signal }) {
      for await (const conversion of instructors.convert(request, signal)) yield { conversion };
    },
  }),
];
