/** Where an animated PNG goes, by the rules of `openOutput()`. */
import { extname } from "@std/path";
import { statOrNone } from "../images/atomic.ts";
import type { Io } from "./_io.ts";

/**
 * The file that an animation is written to, where frames may also be wanted one by one.
 *
 * @param to What the user asked for.
 * @returns undefined for a folder, a pipe and `-`, which take frames.
 * @throws {RangeError} If the name is no PNG's.
 */
export async function animationPath(
  to: string | undefined,
  stem: string,
  { stdoutIsTerminal }: Pick<Io, "stdoutIsTerminal">,
): Promise<string | undefined> {
  if (to === "-" || to === undefined && !stdoutIsTerminal) return undefined;
  if (to === undefined) return await freePath(stem);
  if (/[/\\]$/.test(to) || (await statOrNone(to))?.isDirectory) return undefined;
  if (extname(to).toLowerCase() === ".png") return to;
  throw new RangeError(
    `Cannot write ${to}: give a name that ends in .png, a folder that ends in /, or -`,
  );
}

/** A PNG that is not there yet: `stem.png`, or with a number. */
export async function freePath(stem: string): Promise<string> {
  let path = `${stem}.png`;
  for (let i = 1; await statOrNone(path); i++) path = `${stem}-${i}.png`;
  return path;
}
