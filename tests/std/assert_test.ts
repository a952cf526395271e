import {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertIsError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotMatch,
  assertNotStrictEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
  unreachable,
} from "@std/assert";

const passes: Record<string, () => void> = {
  assert: () => assert(1),
  assertFalse: () => assertFalse(""),
  assertEquals: () => assertEquals({ a: [1, NaN] }, { a: [1, NaN] }),
  "assertEquals takes -0 for 0": () =>
    assertEquals(Float32Array.of(-0, NaN), Float32Array.of(0, NaN)),
  assertNotEquals: () => assertNotEquals<unknown>({ a: 1 }, { a: "1" }),
  assertStrictEquals: () => assertStrictEquals(NaN, NaN),
  assertNotStrictEquals: () => assertNotStrictEquals([], []),
  assertAlmostEquals: () => assertAlmostEquals(1, 1 + 1e-8),
  "assertAlmostEquals with a tolerance": () => assertAlmostEquals(1, 1.5, 0.5),
  assertGreater: () => assertGreater(2, 1),
  assertGreaterOrEqual: () => assertGreaterOrEqual(2, 2),
  assertLess: () => assertLess(1, 2),
  assertLessOrEqual: () => assertLessOrEqual(2, 2),
  assertMatch: () => assertMatch("abc", /b/),
  assertNotMatch: () => assertNotMatch("abc", /d/),
  assertStringIncludes: () => assertStringIncludes("abc", "bc"),
  assertArrayIncludes: () => assertArrayIncludes([[1], [2]], [[2]]),
  assertExists: () => assertExists(0),
  assertInstanceOf: () => assertInstanceOf(new RangeError(), Error),
  assertIsError: () => assertIsError(new RangeError("a b"), RangeError, /a/),
  assertObjectMatch: () => assertObjectMatch({ a: 1, b: { c: 2, d: 3 } }, { b: { c: 2 } }),
  assertThrows: () => void assertThrows(() => fail("it"), AssertionError, "it"),
};

const failures: Record<string, () => void> = {
  assert: () => assert(0),
  assertFalse: () => assertFalse(1),
  assertEquals: () => assertEquals({ a: 1 }, { a: 2 }),
  "assertEquals of types": () => assertEquals<unknown>([1], Float32Array.of(1)),
  assertNotEquals: () => assertNotEquals([1], [1]),
  assertStrictEquals: () => assertStrictEquals(0, -0),
  assertNotStrictEquals: () => assertNotStrictEquals(1, 1),
  assertAlmostEquals: () => assertAlmostEquals(1, 1 + 1e-6),
  "assertAlmostEquals of NaN": () => assertAlmostEquals(NaN, 1, 100),
  assertGreater: () => assertGreater(1, 1),
  assertGreaterOrEqual: () => assertGreaterOrEqual(1, 2),
  assertLess: () => assertLess(1, 1),
  assertLessOrEqual: () => assertLessOrEqual(2, 1),
  assertMatch: () => assertMatch("abc", /d/),
  assertNotMatch: () => assertNotMatch("abc", /a/),
  assertStringIncludes: () => assertStringIncludes("abc", "d"),
  assertArrayIncludes: () => assertArrayIncludes([1], [2]),
  assertExists: () => assertExists(null),
  assertInstanceOf: () => assertInstanceOf(null, Error),
  assertIsError: () => assertIsError(new Error("a"), RangeError),
  assertObjectMatch: () => assertObjectMatch({ a: 1 }, { a: 2 }),
  "assertThrows without a throw": () => void assertThrows(() => 1),
  "assertThrows of another class": () => void assertThrows(() => fail(), RangeError),
  "assertThrows with another text": () => void assertThrows(() => fail("a"), AssertionError, "b"),
  fail: () => fail(),
  unreachable: () => unreachable(),
};

for (const [name, action] of Object.entries(passes)) {
  Deno.test(`${name} passes`, action);
}

for (const [name, action] of Object.entries(failures)) {
  Deno.test(`${name} fails`, () => {
    try {
      action();
    } catch (error) {
      if (!(error instanceof AssertionError)) throw error;
      return;
    }
    throw new Error("it passed");
  });
}

Deno.test("assertRejects() resolves to the error", async () => {
  const error = await assertRejects(() => Promise.reject(new RangeError("a b")), RangeError, "a");
  assertStrictEquals(error.message, "a b");
});

Deno.test("assertRejects() refuses what resolves and what throws at once", async () => {
  await assertRejects(() => assertRejects(() => Promise.resolve()), AssertionError, "to reject");
  const thrower = () => {
    throw new Error("now");
  };
  await assertRejects(() => assertRejects(thrower), AssertionError, "Function throws");
});

Deno.test("assertEquals() shows the difference", () => {
  const error = assertThrows(() => assertEquals([1, 2], [1, 3], "why"), AssertionError);
  assertMatch(error.message, /^Values are not equal: why\n/);
  assertStringIncludes(error.message, "3");
});
