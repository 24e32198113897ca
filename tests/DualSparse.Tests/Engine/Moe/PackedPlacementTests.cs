using CsCheck;
using DualSparse.Engine.Moe;

namespace DualSparse.Tests.Engine.Moe;

/// <summary>Experts dealt out by how often they are chosen.</summary>
public class PackedPlacementTests
{
    private static readonly Gen<(int Ranks, long[] Loads, int Parts)> s_any = Gen.Select(Gen.Int[1, 9], Gen.Long[0, 1000].Array[1, 40], Gen.Int[1, 4]);

    [Fact]
    public void Every_part_is_placed_and_ranks_have_as_many_as_memory_allows() => s_any.Sample(any =>
    {
        var (ranks, loads, parts) = any;
        var placement = ExpertPlacement.Packed(ranks, loads, parts);
        Assert.Equal((ranks, parts, loads.Length), (placement.Ranks, placement.Parts, placement.Experts));
        int[] counts = [.. Enumerable.Range(0, ranks).Select(rank => placement.PartsOf(rank).Length)];
        Assert.Equal(loads.Length * parts, counts.Sum());
        Assert.True(counts.Max() <= (loads.Length * parts + ranks - 1) / ranks);
        // Where there are enough, no rank is idle.
        Assert.True(counts.Min() > 0 || loads.Length * parts < ranks);
        Assert.Equal(placement.RankOf.ToArray(), ExpertPlacement.Packed(ranks, loads, parts).RankOf.ToArray());
    });

    [Fact]
    public void The_highest_load_is_never_above_that_of_blocks() => s_any.Sample(any =>
    {
        var (ranks, loads, parts) = any;
        long[] packed = ExpertPlacement.Packed(ranks, loads, parts).Loads(loads), blocks = ExpertPlacement.Blocks(ranks, loads.Length, parts).Loads(loads);
        Assert.Equal(loads.Sum() * parts, packed.Sum());
        Assert.Equal(packed.Sum(), blocks.Sum());
        Assert.True(packed.Max() <= blocks.Max());
    });

    [Fact]
    public void The_heaviest_go_first_to_the_least_loaded_with_room()
    {
        // 9 → 0, 7 → 1, 6 → 1, 5 → 0, 2 → 1 (13), and the last to 0 alone has room: 14 and 16 become 15 and 15 only by a swap that greed doesn't see.
        var placement = ExpertPlacement.Packed(2, [9, 7, 6, 5, 2, 1]);
        Assert.Equal([0, 1, 1, 0, 1, 0], placement.RankOf.ToArray());
        Assert.Equal([15, 15], placement.Loads([9, 7, 6, 5, 2, 1]));
    }

    [Fact]
    public void Parts_of_an_expert_are_apart()
    {
        var placement = ExpertPlacement.Packed(4, [100, 1, 1, 1], parts: 2);
        Assert.Equal(2, placement.RankOf[..2].ToArray().Distinct().Count());
        Assert.Equal([1, 1, 1, 1], Enumerable.Range(0, 4).Select(e => ExpertPlacement.Packed(4, [3, 2, 2, 1], 4).PartsOf(e).Length / 4));
    }
}
