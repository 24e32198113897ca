using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.RankSuite;

namespace DualSparse.Tests.Distributed;

/// <summary>
/// N processes compute the bits of one with their placement, and one rank's numbers up to rounding: every placement, number of ranks, library, format
/// of weights, drop and attention. Everything where DUALSPARSE_SLOW is set, which takes minutes; else a cover.
/// </summary>
public class RankExactnessTests
{
    private const string OpenMpi = "mpirun.openmpi", Mpich = "mpirun.mpich";

    // Grouped-query attention but for one; scales of its own; a dense layer; a shared expert; a shortcut, with both outputs weighed, and with tokens routed twice.
    private static readonly string[] s_families = ["olmoe", "mixtral", "qwen2_moe", "qwen3_moe", "deepseek_v2", "scmoe/pos2_cg2", "scmoe/dgmoe"];

    private static readonly string[] s_placements = ["own", "slice", "hybrid:2", "hybrid:4", "packed", "last"];

    public static MatrixTheoryData<string, int> All => new([OpenMpi, Mpich], [1, 2, 3, 4, 8]);

    [Theory]
    [MemberData(nameof(All))]
    public void Every_way_to_share_a_model_gives_the_bits_of_one_process(string launcher, int ranks)
    {
        SlowTests.Require();
        Compare(launcher, ranks, Cases(ranks));
    }

    // Every seventeenth case: each model, placement and format comes, and mostly with others than before.
    [Theory]
    [InlineData(OpenMpi, 4, 0)]
    [InlineData(Mpich, 3, 5)]
    public void A_cover_of_them_gives_the_bits_of_one_process(string launcher, int ranks, int first) =>
        Compare(launcher, ranks, [.. Cases(ranks).Where((_, i) => i % 17 == first)]);

    // Rows travel in pieces, experts go on where they were, pieces that come together are computed together.
    [Theory]
    [InlineData(OpenMpi, 2)]
    [InlineData(Mpich, 3)]
    public void Passes_of_many_rows_give_the_bits_of_one_process(string launcher, int ranks) => Compare(launcher, ranks,
    [
        new RankCase(Folder("olmoe"), "hybrid:2", WeightFormat.Int8, Many: true), new RankCase(Folder("scmoe/pos2_cg2"), "own", WeightFormat.F32, Many: true),
        new RankCase(Folder("scmoe/dgmoe"), "packed", WeightFormat.Bf16, Many: true),
    ]);

    // A row depends on its batch: of the same batch ranks compute what one process does that is all of them.
    [Theory]
    [InlineData(OpenMpi, 3, 1)]
    [InlineData(Mpich, 2, 3)]
    public void Balanced_ranks_give_the_bits_of_one_process(string launcher, int ranks, int first) =>
        Compare(launcher, ranks, [.. Balanced(ranks).Where((_, i) => i % 23 == first)]);

    [Theory]
    [InlineData(OpenMpi, 3)]
    [InlineData(OpenMpi, 4)]
    [InlineData(Mpich, 8)]
    public void Ranks_balanced_in_every_way_give_the_bits_of_one_process(string launcher, int ranks)
    {
        SlowTests.Require();
        Compare(launcher, ranks, Balanced(ranks));
    }

    public static MatrixTheoryData<string, int, string> Verified => new([OpenMpi, Mpich], [2, 3], s_families);

    [Theory]
    [MemberData(nameof(Verified))]
    public void Families_agree_with_golden_logits(string launcher, int ranks, string family)
    {
        SlowTests.Require();
        foreach (string placement in new[] { "own", "slice", "hybrid:2" })
        {
            var run = MpiRun.Of(launcher, (ranks, ["verify", TestPaths.Golden(family), "--weights", "f32", "--placement", placement]));
            Assert.True(run.Code == 0, $"{placement}: {run.Output}{run.Errors}");
            Assert.EndsWith("agrees\n", run.Output);
        }
    }

    public static MatrixTheoryData<int, string> Numbers => new([1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 32, 33], [.. s_families, "olmoe-mini"]);

    // Whole experts go to as many ranks; parts are equal shares of both halves.
    [Theory]
    [MemberData(nameof(Numbers))]
    public void Any_number_of_ranks_works_or_is_refused_in_one_sentence(int ranks, string model)
    {
        string folder = Folder(model);
        var moe = ModelConfig.Load(folder).Moe!;
        foreach (var (placement, parts) in new[] { ("own", 1), ("slice", ranks), ("hybrid:2", 2), ("hybrid:3", 3), ("hybrid:5", 5) })
        {
            bool works = moe.Intermediate / 2 % parts == 0 && ranks <= moe.Experts * parts;
            string? refused = null;
            try
            {
                RankPlacement.Choose(folder, ranks, PlacementKind.Parse(placement));
            }
            catch (ArgumentException e)
            {
                refused = e.Message;
            }

            Assert.True(works == refused is null, $"{ranks} ranks, {placement}: {refused ?? "accepted"}");
            if (ranks > 1 && refused is not null)
                Assert.Equal($"dualsparse: {refused}", Cli.CommandRun.Mistake("verify", folder, "--ranks", $"{ranks}", "--placement", placement));
        }
    }

    private static void Compare(string launcher, int ranks, RankCase[] cases)
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("walks");
        var run = MpiRun.OfSuite(launcher, ranks, [file, .. cases.Select(c => $"{c}")]);
        Assert.True(run.Code == 0, run.Errors);
        using var found = new WalkReader(file);
        bool anotherOrder = false, balanced = false;
        foreach (var shared in cases)
        {
            using var model = Transformer.Load(shared.Folder, shared.OneProcess(ranks));
            // What isn't balanced: one rank, or where balance is to show as many.
            using var whole = Transformer.Load(shared.Folder, shared.Balance is null ? new EngineOptions { Weights = shared.Weights } : (shared with { Balance = null }).OneProcess(ranks));
            int number = 0;
            foreach (var (expected, alone) in shared.Walks(model).Zip(shared.Walks(whole)))
            {
                string name = $"{shared} on {ranks} ranks, {RankCase.Names[number]}";
                var walk = found.Read();
                Assert.True(expected.Logits.AsSpan().SequenceEqual(walk.Logits), $"{name}: {Apart(walk, expected):e2} apart from one process");
                Assert.Equal(expected.Ids, walk.Ids);
                balanced |= shared.Balance is not null && !alone.Logits.AsSpan().SequenceEqual(walk.Logits);
                anotherOrder |= !alone.Logits.AsSpan().SequenceEqual(walk.Logits);
                if (RankCase.Drops[number++] || shared.Balance is not null)
                    continue;
                if (shared.Weights == WeightFormat.F32)
                    Assert.True(Apart(walk, alone) <= 1e-5, $"{name}: {Apart(walk, alone):e2} apart from one rank");
                if (shared.Weights == WeightFormat.Bf16 && shared.Folder == TestPaths.Model)
                    Assert.Equal(alone.Ids, walk.Ids);
            }
        }

        // The bits are those of the placement, so that comparing them says something.
        Assert.True(anotherOrder);
        Assert.True(balanced || Array.TrueForAll(cases, c => c.Balance is null));
        Assert.True(found.AtEnd);
    }

    private static RankCase[] Balanced(int ranks) =>
    [
        .. from model in (string[])["olmoe-mini", "qwen2_moe", "deepseek_v2"]
           from placement in s_placements
           where Fits(model, placement, ranks)
           from weights in (WeightFormat[])[WeightFormat.Bf16, WeightFormat.F32]
           from mode in (BalanceMode[])[BalanceMode.Drop, BalanceMode.Precision, BalanceMode.Both]
           from rule in Enum.GetValues<BalanceRule>()
           select new RankCase(Folder(model), placement, weights, (mode, rule)),
    ];

    // The largest difference over the largest logit.
    private static double Apart(Walk walk, Walk other) => walk.Logits.Length != other.Logits.Length ? double.PositiveInfinity
        : walk.Logits.Zip(other.Logits, (a, b) => Math.Abs((double)a - b)).Max() / other.Logits.Max(Math.Abs);

    private static RankCase[] Cases(int ranks) =>
    [
        .. from model in (string[])["olmoe-mini", .. s_families]
           from placement in s_placements
           where Fits(model, placement, ranks)
           from weights in Enum.GetValues<WeightFormat>()
           select new RankCase(Folder(model), placement, weights),
    ];

    private static bool Fits(string model, string placement, int ranks)
    {
        if (placement is "packed" or "last")
            return true;
        var moe = ModelConfig.Load(Folder(model)).Moe!;
        int parts = PlacementKind.Parse(placement).Parts ?? ranks;
        return moe.Intermediate / 2 % parts == 0 && ranks <= moe.Experts * parts;
    }

    private static string Folder(string model) => model == "olmoe-mini" ? TestPaths.Model : TestPaths.Golden(model);
}
