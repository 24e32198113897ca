using CsCheck;
using DualSparse.Engine.Serving;

namespace DualSparse.Tests.Engine.Serving;

public class SamplerTests
{
    private static readonly float[] Logits = [1.5f, -0.5f, 3.0f, 0.2f, 2.4f, float.NegativeInfinity, 0.9f, 2.9f];

    [Fact]
    public void Random_numbers_are_those_of_the_published_generator()
    {
        var random = new SplitMix64(1234567);
        ulong[] expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821];
        Assert.Equal(expected, expected.Select(_ => random.Next()));
    }

    [Fact]
    public void Greedy_takes_the_best_and_of_equals_the_first()
    {
        Assert.Equal(2, Next(new(), Logits));
        Assert.Equal(1, Next(new(), [0, 7, 7, 7]));
    }

    [Fact]
    public void Draws_as_often_as_the_temperature_says() => MatchesDistribution(new() { Temperature = 0.7f }, i => Math.Exp(Logits[i] / 0.7));

    [Fact]
    public void Top_k_keeps_the_best() => MatchesDistribution(new() { Temperature = 1, TopK = 3 }, i => i is 2 or 7 or 4 ? Math.Exp(Logits[i]) : 0);

    // Probabilities: 2: .338, 7: .306, 4: .186, 0: .075 …; the first three reach 0.8.
    [Fact]
    public void Top_p_keeps_the_shortest_run_that_reaches_it() =>
        MatchesDistribution(new() { Temperature = 1, TopP = 0.8f }, i => i is 2 or 7 or 4 ? Math.Exp(Logits[i]) : 0);

    // Of the four that top-k leaves, 2 and 7 have .374 + .338 = .712 of the probability; of all, they would have .644 only.
    [Fact]
    public void Top_p_counts_what_top_k_left() =>
        MatchesDistribution(new() { Temperature = 1, TopK = 4, TopP = 0.7f }, i => i is 2 or 7 ? Math.Exp(Logits[i]) : 0);

    // e^(2.4 − 3) = 0.55, e^(1.5 − 3) = 0.22.
    [Fact]
    public void Min_p_is_a_share_of_the_best() =>
        MatchesDistribution(new() { Temperature = 1, MinP = 0.5f }, i => i is 2 or 7 or 4 ? Math.Exp(Logits[i]) : 0);

    // 3.0 → 1.5 and −0.5 → −1.0, before the temperature.
    [Fact]
    public void Repetition_penalty_divides_or_multiplies_once() => MatchesDistribution(
        new() { Temperature = 1, RepetitionPenalty = 2 }, i => Math.Exp(i == 2 ? 1.5 : i == 1 ? -1 : Logits[i]), context: [2, 1, 2, 2]);

    [Fact]
    public void Repetition_penalty_acts_on_greedy_too() => Assert.Equal(7, Next(new() { RepetitionPenalty = 1.1f }, Logits, [2]));

    [Fact]
    public void A_more_than_whole_top_k_is_all() =>
        Assert.Equal(Draws(new() { Temperature = 1 }, 200), Draws(new() { Temperature = 1, TopK = 1000 }, 200));

    [Fact]
    public void One_seed_gives_one_text()
    {
        var options = new GenerationOptions { Temperature = 1.3f, TopK = 5, TopP = 0.95f };
        Assert.Equal(Draws(options, 100), Draws(options, 100));
        Assert.NotEqual(Draws(options, 100), Draws(options with { Seed = 8 }, 100));
        Assert.NotEqual(new Sampler(options, 8).Seed, new Sampler(options, 8).Seed);
    }

    [Fact]
    public void A_tiny_temperature_is_greedy() => Assert.All(Draws(new() { Temperature = 1e-40f }, 50), id => Assert.Equal(2, id));

    [Theory]
    [InlineData(float.NaN, "NaN")]
    [InlineData(float.PositiveInfinity, "Infinity")]
    public void A_logit_that_is_no_number_is_named(float bad, string shown)
    {
        foreach (float temperature in new[] { 0f, 1f })
        {
            var error = Assert.Throws<InvalidOperationException>(() => Next(new() { Temperature = temperature }, [0, 1, bad, 1]));
            Assert.StartsWith($"the logit of token 2 is {shown}", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Forbidden_tokens_only_are_an_error() =>
        Assert.Throws<InvalidOperationException>(() => Next(new(), [float.NegativeInfinity, float.NegativeInfinity]));

    [Fact]
    public void The_number_of_logits_is_checked() => Assert.Throws<ArgumentException>(() => new Sampler(new(), 3).Next(Logits, []));

    public static TheoryData<GenerationOptions, string> Nonsense => new()
    {
        { new() { Temperature = -1 }, "temperature is -1, expected at least 0" },
        { new() { Temperature = float.NaN }, "temperature is NaN, expected at least 0" },
        { new() { TopP = 1.5f }, "top-p is 1.5, expected between 0 and 1" },
        { new() { TopK = -2 }, "top-k is -2, expected at least 0" },
        { new() { MinP = 2 }, "min-p is 2, expected between 0 and 1" },
        { new() { RepetitionPenalty = 0 }, "repetition-penalty is 0, expected a number from 0.000001 to 1000000" },
        { new() { MaxTokens = -1 }, "max-tokens is -1, expected at least 0" },
        { new() { LogProbs = -1 }, "logprobs is -1, expected at least 0" },
        { new() { StopStrings = [""] }, "stop is \"\", expected a text that isn't empty" },
    };

    [Theory]
    [MemberData(nameof(Nonsense))]
    public void Options_that_make_no_sense_are_named(GenerationOptions options, string message) =>
        Assert.Equal(message, Assert.Throws<ArgumentException>(() => new Sampler(options, 8)).Message);

    // Against sorting, over a vocabulary with many equal logits: only tokens of the nucleus are drawn, all of them in the long run.
    [Fact]
    public void Draws_from_the_nucleus_of_a_sort()
    {
        (from logits in Gen.Int[-6, 6].Select(i => i / 2f).Array[1, 60]
         from k in Gen.Int[0, 70]
         from p in Gen.Int[0, 4].Select(i => new[] { 1f, 0.9f, 0.5f, 0.2f, 0.01f }[i])
         from seed in Gen.ULong
         select (logits, k, p, seed)).Sample(x =>
        {
            var order = Enumerable.Range(0, x.logits.Length).OrderByDescending(i => x.logits[i]).ThenBy(i => i)
                .Take(x.k == 0 ? int.MaxValue : x.k).Select(i => (Id: i, Weight: Math.Exp(x.logits[i] - x.logits.Max()))).ToArray();
            double goal = x.p * order.Sum(c => c.Weight), sum = 0;
            // A hair of tolerance where the sum meets the goal exactly.
            var nucleus = order.TakeWhile(c => (sum += c.Weight) - c.Weight < goal * (1 + 1e-6)).Select(c => c.Id).ToHashSet();
            var sampler = new Sampler(new() { Temperature = 1, TopK = x.k, TopP = x.p, Seed = x.seed }, x.logits.Length);
            return Enumerable.Range(0, 30).All(_ => nucleus.Contains(sampler.Next(x.logits, [])));
        });
    }

    private static int Next(GenerationOptions options, float[] logits, int[]? context = null) =>
        new Sampler(options, logits.Length).Next(logits, context ?? []);

    private static int[] Draws(GenerationOptions options, int count, int[]? context = null)
    {
        var sampler = new Sampler(options with { Seed = options.Seed ?? 7 }, Logits.Length);
        return [.. Enumerable.Range(0, count).Select(_ => sampler.Next(Logits, context ?? []))];
    }

    // Pearson's chi-square over the tokens that may come; the seed is fixed, so this passes always or never.
    private static void MatchesDistribution(GenerationOptions options, Func<int, double> weight, int[]? context = null)
    {
        const int draws = 20_000;
        var counts = Draws(options, draws, context).CountBy(id => id).ToDictionary();
        double total = Enumerable.Range(0, Logits.Length).Sum(weight);
        double chiSquare = 0;
        for (int id = 0; id < Logits.Length; id++)
        {
            double expected = draws * weight(id) / total;
            int seen = counts.GetValueOrDefault(id);
            if (expected == 0)
                Assert.Equal(0, seen);
            else
                chiSquare += (seen - expected) * (seen - expected) / expected;
        }

        // The 99.9 % point for 6 degrees of freedom, the most there are here.
        Assert.True(chiSquare < 22.5, $"chi-square {chiSquare}");
    }

    [Theory]
    [InlineData(1e34f, 1e-6f)]
    [InlineData(-1e34f, 1e6f)]
    public void A_penalty_keeps_logits_finite(float logit, float penalty) => Assert.InRange(
        new Sampler(new() { Temperature = 1, RepetitionPenalty = penalty }, 3).Next([logit, logit, logit], [0, 1, 2]), 0, 2);

    [Fact]
    public void A_penalty_leaves_forbidden_what_is() => Assert.Equal(
        1, new Sampler(new() { RepetitionPenalty = 2 }, 3).Next([float.NegativeInfinity, -3e38f, float.NegativeInfinity], [0, 1]));

    [Fact]
    public void A_top_p_of_zero_keeps_one() => Assert.All(Draws(new() { Temperature = 1, TopP = 0 }, 50), id => Assert.Equal(2, id));
}
