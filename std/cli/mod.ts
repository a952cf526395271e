/**
 * Stand-in for `jsr:@std/cli`: a strict subset of its API.
 *
 * @module
 */
export * from "./parse_args.ts";
