/**
 * A restricted reader of Python's pickles (protocols 0 to 5): it builds containers, texts and
 * numbers, and whatever else a pickle names it refuses by that name, before anything is made of it.
 * Lists, tuples and sets become arrays, dictionaries become maps.
 *
 * @module
 */
import type { Cursor } from "./cursor.ts";

/** What stands for a class or a function of Python. */
export class Global {
  /**
   * @param name its module and name, joined by a dot.
   * @param call what a call of it gives; it may not be called where absent.
   */
  constructor(
    readonly name: string,
    readonly call?: (args: readonly unknown[], charge: Charge) => unknown,
  ) {}
}

/** Counts work, so that a small file cannot cause much of it. */
export type Charge = (count: number) => void;

/** What a pickle may ask for beside containers, texts and numbers. */
export interface Allowed {
  /** What stands for a class or a function; undefined where it is refused. */
  find(name: string): Global | undefined;
  /** The object of a persistent id. */
  load(id: unknown): unknown;
  /** True where the state that a pickle sets on an object may be left out. */
  isStateless(value: unknown): boolean;
}

// Checkpoints of billions of parameters take some 100,000 operations.
const MOST_WORK = 10_000_000; // operations, and elements that are copied
const NAME = /^[\w.<>-]{1,200}$/;
const MOST_VALUES = 1_000_000; // on the stack, and in the memo
const DEEPEST = 10_000; // marks on the stack
const LONGEST_NUMBER = 255; // bytes

/** The number that little-endian bytes in two's complement stand for. */
function integerOf(bytes: Uint8Array): number | bigint {
  if (bytes.length > LONGEST_NUMBER) throw new SyntaxError("one of its numbers is too long");
  let value = 0n;
  for (const byte of bytes.toReversed()) value = value << 8n | BigInt(byte);
  return narrow(BigInt.asIntN(8 * bytes.length, value));
}

const narrow = (value: bigint): number | bigint =>
  BigInt.asIntN(53, value) === value ? Number(value) : value;

/** The number in a line of digits. */
function parseInteger(text: string): number | bigint {
  if (!/^[+-]?\d{1,255}$/.test(text)) throw new SyntaxError("one of its numbers is none");
  return narrow(BigInt(text.replace(/^\+/, "")));
}

function parseFloat64(text: string): number {
  const named = { nan: NaN, inf: Infinity, "-inf": -Infinity }[text];
  const value = named ?? Number(text);
  if (text === "" || named === undefined && Number.isNaN(value)) {
    throw new SyntaxError("one of its numbers is none");
  }
  return value;
}

/** The text between the quotes of a line; of escapes only what texts without them have. */
function parseString(text: string): string {
  const [, , inner] = text.match(/^(["'])([^\\]*)\1$/) ?? [];
  if (inner === undefined) throw new SyntaxError("one of its texts has no quotes, or escapes");
  return inner;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
const latin1 = new TextDecoder("latin1");

/**
 * Reads one pickle, up to its end.
 *
 * @throws {SyntaxError} Where it is damaged, or asks for what is not allowed; the message goes on
 * from a colon.
 */
export function unpickle(cursor: Cursor, allowed: Allowed): unknown {
  const stack: unknown[] = [];
  const marks: number[] = [];
  const memo = new Map<number, unknown>();
  let work = 0;
  const charge: Charge = (count) => {
    work += count;
    if (work > MOST_WORK) throw new SyntaxError(`it takes more than ${MOST_WORK} operations`);
  };
  const number = (bytes: number): number => {
    const taken = cursor.take(bytes);
    const view = new DataView(taken.buffer, taken.byteOffset, taken.length);
    if (bytes === 1) return view.getUint8(0);
    if (bytes === 2) return view.getUint16(0, true);
    if (bytes === 4) return view.getUint32(0, true);
    return Number(view.getBigUint64(0, true));
  };
  const text = (bytes: number) => utf8.decode(cursor.take(number(bytes)));
  const push = (value: unknown) => {
    if (stack.length === MOST_VALUES) throw new SyntaxError("it nests too many values");
    stack.push(value);
  };
  const pop = (): unknown => {
    if (stack.length === (marks.at(-1) ?? 0)) throw new SyntaxError("it takes a value too many");
    return stack.pop();
  };
  const top = (): unknown => {
    if (stack.length === (marks.at(-1) ?? 0)) throw new SyntaxError("it takes a value too many");
    return stack.at(-1);
  };
  const popMark = (): unknown[] => {
    const mark = marks.pop();
    if (mark === undefined) throw new SyntaxError("it ends a list that it did not begin");
    const values = stack.splice(mark);
    charge(values.length);
    return values;
  };
  const list = (): unknown[] => {
    const target = top();
    if (!Array.isArray(target)) throw new SyntaxError("it appends to what is no list");
    return target;
  };
  const setItems = (values: readonly unknown[], target: unknown) => {
    if (!(target instanceof Map)) throw new SyntaxError("it sets items of what is no dictionary");
    if (values.length % 2 === 1) throw new SyntaxError("it has a key without a value");
    for (let at = 0; at < values.length; at += 2) target.set(values[at], values[at + 1]);
  };
  const tuple = (count: number): unknown[] => {
    const values = Array.from({ length: count }, pop);
    return values.reverse();
  };
  const remember = (key: number) => {
    if (memo.size === MOST_VALUES) throw new SyntaxError("it remembers too many values");
    memo.set(key, top());
  };
  const recall = (key: number) => {
    if (!memo.has(key)) throw new SyntaxError("it recalls a value that it did not keep");
    push(memo.get(key));
  };
  const find = (module: unknown, name: unknown) => {
    if (typeof module !== "string" || typeof name !== "string") {
      throw new SyntaxError("it names a class by what is no text");
    }
    const full = `${module}.${name}`;
    if (!NAME.test(full)) throw new SyntaxError("it names a class by what is no name");
    const found = allowed.find(full);
    if (found === undefined) throw refusal(full);
    push(found);
  };
  const call = () => {
    const [target, args] = tuple(2);
    if (!(target instanceof Global)) throw new SyntaxError("it calls what is no function");
    if (target.call === undefined) throw refusal(`a call of ${target.name}`);
    if (!Array.isArray(args)) throw new SyntaxError(`it calls ${target.name} without a tuple`);
    charge(args.length);
    push(target.call(args, charge));
  };
  for (;;) {
    charge(1);
    const [code = 0] = cursor.take(1);
    const name = String.fromCharCode(code);
    switch (name) {
      case "\x80": // PROTO
        if (number(1) > 5) throw new SyntaxError("its protocol is newer than 5");
        break;
      case "\x95": // FRAME
        if (number(8) > cursor.left) throw new SyntaxError("one of its frames has no end");
        break;
      case ".": {
        const value = pop();
        if (stack.length > 0) throw new SyntaxError("it leaves values behind");
        return value;
      }
      case "(":
        if (marks.length === DEEPEST) throw new SyntaxError("it nests lists too deeply");
        marks.push(stack.length);
        break;
      case "0":
        if (stack.length === (marks.at(-1) ?? 0) && marks.length > 0) popMark();
        else pop();
        break;
      case "1":
        popMark();
        break;
      case "2":
        push(top());
        break;
      case "N":
        push(null);
        break;
      case "\x88":
      case "\x89":
        push(name === "\x88");
        break;
      case "I": {
        const line = cursor.line();
        push(line === "01" ? true : line === "00" ? false : parseInteger(line));
        break;
      }
      case "L":
        push(parseInteger(cursor.line().replace(/L$/, "")));
        break;
      case "J":
        push(number(4) | 0); // signed
        break;
      case "K":
        push(number(1));
        break;
      case "M":
        push(number(2));
        break;
      case "\x8a":
        push(integerOf(cursor.take(number(1))));
        break;
      case "\x8b":
        push(integerOf(cursor.take(number(4))));
        break;
      case "F":
        push(parseFloat64(cursor.line()));
        break;
      case "G": {
        const bytes = cursor.take(8);
        push(new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, false));
        break;
      }
      case "S":
        push(parseString(cursor.line()));
        break;
      case "T":
        push(latin1.decode(cursor.take(number(4))));
        break;
      case "U":
        push(latin1.decode(cursor.take(number(1))));
        break;
      case "V":
        push(cursor.line());
        break;
      case "X":
        push(text(4));
        break;
      case "\x8c":
        push(text(1));
        break;
      case "\x8d":
        push(text(8));
        break;
      case "B":
        push(cursor.take(number(4)).slice());
        break;
      case "C":
        push(cursor.take(number(1)).slice());
        break;
      case "\x8e":
        push(cursor.take(number(8)).slice());
        break;
      case "]":
      case ")":
      case "\x8f": // EMPTY_SET
        push([]);
        break;
      case "}":
        push(new Map());
        break;
      case "l":
      case "t":
      case "\x91": // FROZENSET
        push(popMark());
        break;
      case "d": {
        const made = new Map();
        setItems(popMark(), made);
        push(made);
        break;
      }
      case "\x85":
      case "\x86":
      case "\x87":
        push(tuple(code - 0x84));
        break;
      case "a": {
        const value = pop();
        list().push(value);
        break;
      }
      case "e":
      case "\x90": { // ADDITEMS
        const values = popMark();
        const target = list();
        for (const value of values) target.push(value);
        break;
      }
      case "s": {
        const values = tuple(2);
        setItems(values, top());
        break;
      }
      case "u": {
        const values = popMark();
        setItems(values, top());
        break;
      }
      case "p": {
        const key = Number(parseInteger(cursor.line()));
        remember(key);
        break;
      }
      case "q":
        remember(number(1));
        break;
      case "r":
        remember(number(4));
        break;
      case "\x94":
        remember(memo.size);
        break;
      case "g":
        recall(Number(parseInteger(cursor.line())));
        break;
      case "h":
        recall(number(1));
        break;
      case "j":
        recall(number(4));
        break;
      case "c":
        find(cursor.line(), cursor.line());
        break;
      case "\x93": { // STACK_GLOBAL
        const [module, name] = tuple(2);
        find(module, name);
        break;
      }
      case "R":
        call();
        break;
      case "b":
        pop();
        if (!allowed.isStateless(top())) throw refusal("the state of an object");
        break;
      case "P":
        push(allowed.load(cursor.line()));
        break;
      case "Q":
        push(allowed.load(pop()));
        break;
      case "i":
        find(cursor.line(), cursor.line()); // refuses all but what is not made this way
        throw refusal("an object that is made by its class");
      case "o":
      case "\x81": // NEWOBJ
      case "\x92": { // NEWOBJ_EX
        const values = name === "o" ? popMark() : tuple(name === "\x81" ? 2 : 3);
        const [made] = values;
        throw refusal(`an object of ${made instanceof Global ? made.name : "no class"}`);
      }
      default:
        throw new SyntaxError(
          `its byte ${cursor.position - 1} is ${code}, which is no operation that is read here`,
        );
    }
  }
}

function refusal(what: string): SyntaxError {
  return new SyntaxError(
    `it asks for ${what}, which is refused: a checkpoint may hold tensors, containers and numbers alone`,
  );
}
