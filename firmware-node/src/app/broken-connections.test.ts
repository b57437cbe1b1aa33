/** S1404, S1406: connections to the result store that break. */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { JobState, JobStateReason } from "@platen/proto";
import { beforeAll, describe, expect, test } from "vitest";
import { dotsOfPage, dotsOfSheet } from "../testing/dots.ts";
import { bodyOf, makePage, type TestPage } from "../testing/pages.ts";
import { answering, type Interception, inTurn, rangeStart, sendBody } from "../testing/result-server.ts";
import { expectNextJobPrints, last, startRig } from "../testing/rig.ts";

let pages: TestPage[];
beforeAll(async () => {
  pages = await Promise.all([1, 2].map((seed) => makePage(seed)));
});

describe("a connection that breaks is mended, and every dot comes once", () => {
  const expectPrinted = async (intercept: Interception) => {
    await using rig = await startRig({ pages, intercept });
    expect(last(await rig.print())).toMatchObject({ state: JobState.COMPLETED });
    expect(rig.model.sheets.map(dotsOfSheet)).toEqual(pages.map((page) => [dotsOfPage(page)]));
    expect(rig.model.counts).toEqual({ fed: 2, stacked: 2, wasted: 0 });
    return rig.server.requests;
  };
  const refuse = (statusCode: number, body: string) => (response: ServerResponse) =>
    void response.writeHead(statusCode).end(body);

  /** Sends so many bytes of page 1 at a time. Tells with which byte each answer began. */
  const cutting = (sendBytes: readonly number[], ranges = true, headers: OutgoingHttpHeaders = {}) => {
    const starts: number[] = [];
    const left = [...sendBytes];
    const body = bodyOf(pages[0]!.bands);
    const intercept: Interception = (request, response) => {
      if (request.url !== "/pages/1") return false;
      if (!ranges) delete request.headers.range;
      starts.push(rangeStart(request));
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value!);
      sendBody(request, response, body, left.shift());
      return true;
    };
    return { starts, intercept };
  };

  test("it goes on with the byte that is due: before, within and after bands of a page, and at its last byte", async () => {
    const [blank, grey, color] = pages[0]!.bands.map((band) => bodyOf([band]).length) as [
      number,
      number,
      number,
    ];
    const { starts, intercept } = cutting([0, 1, blank - 1, grey + 5, color - 6]);
    await expectPrinted(intercept);
    const whole = blank + grey + color;
    expect(starts).toEqual([0, 0, 1, blank, blank + grey + 5, whole - 1]);
  });

  test("where the server knows no ranges, what comes again is left out", async () => {
    const { starts, intercept } = cutting([1, 40, 20], false);
    await expectPrinted(intercept);
    expect(starts).toEqual([0, 0, 0, 0]);
  });

  test("just behind its last byte, where nobody had said that it was the last", async () => {
    const asked: (string | undefined)[] = [];
    const body = bodyOf(pages[0]!.bands);
    const first: Interception = (_, response) => {
      response.writeHead(200);
      response.write(body, () => response.destroy());
      return true;
    };
    const answers = [first];
    await expectPrinted((request, response) => {
      if (request.url !== "/pages/1") return false;
      asked.push(request.headers.range);
      return answers.shift()?.(request, response) ?? false;
    });
    expect(asked).toEqual([undefined, `bytes=${body.length}-`]);
  });

  test("on the metafile", async () => {
    let cuts = 2;
    const intercept: Interception = ({ url }, response) => {
      if (url !== "/metafiles/job-1" || cuts-- <= 0) return false;
      // Neither this server nor the one after it says how long it is.
      response.writeHead(200);
      response.write("{", () => response.destroy());
      return true;
    };
    await expectPrinted(intercept);
  });

  test("and so is a server that says that it is away for now", async () => {
    await expectPrinted(
      inTurn(
        "/pages/2",
        refuse(503, '{"code":"unavailable","message":"draining"}'),
        refuse(502, "<html>Bad gateway"),
      ),
    );
  });

  test("but a refusal is final", async () => {
    const intercept = answering("/pages/2", '{"code":"identification-unknown","message":"bad token"}', 404);
    await using rig = await startRig({ pages, intercept });
    const end = last(await rig.print());
    expect(end).toMatchObject({
      state: JobState.ABORTED,
      stateReasons: [JobStateReason.ABORTED_BY_SYSTEM, JobStateReason.DOCUMENT_ACCESS_ERROR],
      errorCode: "page-unavailable",
      mediaSheetsCompleted: 1,
    });
    expect(end.message).toMatch(/page 2 cannot be fetched: bad token/);
    expect(rig.server.requests.filter((path) => path === "/pages/2")).toHaveLength(1);
  });

  test("and a page that cannot be made ends the job with the reason that the backend gives", async () => {
    const said = '{"code":"conversion-time-limit","message":"page 2 took longer than 60 s"}';
    await using rig = await startRig({ pages, intercept: answering("/pages/2", said, 422) });
    const end = last(await rig.print());
    expect(end).toMatchObject({
      state: JobState.ABORTED,
      stateReasons: [JobStateReason.ABORTED_BY_SYSTEM],
      errorCode: "conversion-time-limit",
      message: "page 2 took longer than 60 s",
      mediaSheetsCompleted: 1,
    });
  });

  test("until patience ends", async () => {
    const intercept: Interception = ({ url }, response) => {
      if (url === "/pages/2") response.destroy();
      return url === "/pages/2";
    };
    await using rig = await startRig({ pages, intercept, patienceMs: 50 });
    expect(last(await rig.print())).toMatchObject({ state: JobState.ABORTED, errorCode: "page-unavailable" });
  });

  test("also where the same bytes come again and again, and nothing new", async () => {
    const { starts, intercept } = cutting(Array(1000).fill(30), false);
    await using rig = await startRig({ pages, intercept, patienceMs: 400 });
    expect(last(await rig.print())).toMatchObject({ state: JobState.ABORTED, errorCode: "page-unavailable" });
    expect(starts.length).toBeGreaterThan(1);
  });

  test.each([
    ["length", (response: ServerResponse) => void response.writeHead(200, { "content-length": 100 })],
    ["entity tag", (response: ServerResponse) => void response.writeHead(200, { etag: '"old"' })],
  ])("but a page of another %s the second time is refused: halves of two are no page", async (_, head) => {
    const cut = (response: ServerResponse) => {
      head(response);
      response.write(bodyOf(pages[0]!.bands).subarray(0, 6), () => response.destroy());
    };
    const { intercept } = cutting([], true, { etag: '"new"' });
    const first = inTurn("/pages/1", cut);
    await using rig = await startRig({
      pages,
      intercept: (request, response) => first(request, response) || intercept(request, response),
    });
    const end = last(await rig.print());
    expect(end).toMatchObject({
      state: JobState.ABORTED,
      stateReasons: [JobStateReason.ABORTED_BY_SYSTEM, JobStateReason.DOCUMENT_ACCESS_ERROR],
      errorCode: "page-unavailable",
    });
    expect(end.message).toMatch(/another one when fetched again/);
    expect(rig.model.counts.stacked).toBe(0);
    await expectNextJobPrints(rig);
  });
});
