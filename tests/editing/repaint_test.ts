import { assert, assertEquals, assertThrows } from "@std/assert";
import { fallingPart, isNoisier, withJumps } from "../../editing/repaint.ts";
import { linearPath } from "../pipeline/_closed_form.ts";

/** The schedule of RePaint's paper, figure 8 of its appendix: times from `steps - 1` to 0, then -1. */
function schedule(steps: number, jump: number, resample: number): number[] {
  const jumps = new Map<number, number>();
  for (let t = 0; t < steps - jump; t += jump) jumps.set(t, resample - 1);
  const times: number[] = [];
  let t = steps;
  while (t >= 1) {
    times.push(--t);
    if ((jumps.get(t) ?? 0) > 0) {
      jumps.set(t, (jumps.get(t) ?? 0) - 1);
      for (let i = 0; i < jump; i++) times.push(++t);
    }
  }
  return [...times, -1];
}

Deno.test("withJumps() visits the levels of RePaint's schedule, its climbs in one step", () => {
  for (
    const [steps, jump, resample] of [[6, 2, 3], [25, 10, 10], [7, 6, 2], [9, 1, 2], [8, 3, 1]]
  ) {
    const path = linearPath(steps!);
    const visited = withJumps(path, { jump: jump!, resample: resample! });
    const times = schedule(steps!, jump!, resample!);
    // Within a climb the authors' schedule lists every level; the last of them is where it leads.
    const ends = times.filter((t, i) =>
      !(t > (times[i - 1] ?? Infinity) && (times[i + 1] ?? t) > t)
    );
    assertEquals(visited.map((level) => steps! - 1 - path.indexOf(level)), ends);
  }
});

Deno.test("withJumps() refuses a jump that is as long as the path", () => {
  const options = { jump: 5, resample: 2 };
  assertThrows(() => withJumps(linearPath(5), options), RangeError, "jump must be smaller");
});

Deno.test("fallingPart() is a path from the last jump's end down to the last level", () => {
  const path = linearPath(12);
  const visited = withJumps(path, { jump: 3, resample: 3 });
  for (let index = 0; index < visited.length - 1; index++) {
    const [from, to] = [visited[index]!, visited[index + 1]!];
    if (isNoisier(to, from)) continue;
    const part = fallingPart(visited, index);
    assertEquals([part.path[part.index], part.path[part.index + 1]], [from, to]);
    assertEquals(part.path, path.slice(path.indexOf(part.path[0]!)));
    const before = visited[index - part.index - 1];
    assert(before === undefined || isNoisier(part.path[0]!, before), "it begins in mid-air");
  }
});
