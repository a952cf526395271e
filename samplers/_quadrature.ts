/**
 * The weights with which values at these nodes give an integral of the polynomial through them, as
 * all linear multistep methods do: Adams-Bashforth, DEIS, DPM-Solver and UniPC differ by the integral.
 *
 * @param nodes All different.
 * @param moments The integral of 1, s, s², …: as many as there are nodes, or more.
 */
export function quadrature(nodes: readonly number[], moments: readonly number[]): number[] {
  return nodes.map((node) => {
    let basis = [1]; // coefficients of the polynomial that is 1 here and 0 at the other nodes
    for (const other of nodes.filter((each) => each !== node)) {
      const [shifted, kept] = [[0, ...basis], [...basis, 0]];
      basis = shifted.map((value, k) => (value - other * (kept[k] ?? 0)) / (node - other));
    }
    return basis.reduce((sum, value, k) => sum + value * (moments[k] ?? NaN), 0);
  });
}
