using CsCheck;
using DualSparse.Engine.Serving;

namespace DualSparse.Tests.Engine.Serving;

public class CandidatesTests
{
    // Few different weights, all exact in binary: many ties, and sums without rounding.
    private static readonly Gen<Candidate[]> Some =
        Gen.Int[1, 5].Array[1, 200].Select(weights => weights.Select((w, i) => new Candidate(w, i * 7 % 211)).ToArray());

    [Fact]
    public void Keeps_the_best_of_a_sort() => Gen.Select(Some, Gen.Int[1, 200]).Sample((all, count) =>
    {
        var expected = Sorted(all).Take(count).ToHashSet();
        int kept = Candidates.KeepBest(all, Math.Min(count, all.Length));
        return kept == expected.Count && expected.SetEquals(all[..kept]);
    });

    [Fact]
    public void Keeps_the_shortest_run_that_reaches_a_weight() => Gen.Select(Some, Gen.Int[1, 1000]).Sample((all, goal) =>
    {
        double sum = 0;
        var expected = Sorted(all).TakeWhile(c => (sum += c.Weight) - c.Weight < goal).ToHashSet();
        int kept = Candidates.KeepWeight(all, goal);
        return kept == expected.Count && expected.SetEquals(all[..kept]);
    });

    private static IEnumerable<Candidate> Sorted(Candidate[] all) => all.OrderByDescending(c => c.Weight).ThenBy(c => c.Id);
}
