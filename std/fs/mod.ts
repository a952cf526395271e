/** Stand-in for `jsr:@std/fs`: a strict subset of its API over the functions of Deno.
 *
 * @module
 */
export * from "./empty_dir.ts";
export * from "./ensure_dir.ts";
export * from "./exists.ts";
export * from "./move.ts";
export * from "./walk.ts";
