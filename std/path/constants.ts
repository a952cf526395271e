import { sep } from "node:path";

/** `/`, on Windows `\`. */
export const SEPARATOR = sep as "/" | "\\";
