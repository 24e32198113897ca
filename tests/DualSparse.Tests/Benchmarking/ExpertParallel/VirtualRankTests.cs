using DualSparse.Benchmarking.ExpertParallel;
using DualSparse.Distributed;

namespace DualSparse.Tests.Benchmarking.ExpertParallel;

/// <summary>The times of virtual ranks, by hand.</summary>
public class VirtualRankTests
{
    // A latency of 1 s and 10 bytes a second.
    private static readonly LinkRates s_rates = new(1, 10);

    // Rank 0 sends 20 bytes and gets 40 back; rank 1 sends 30 and gets 10 back.
    private static readonly VirtualWork s_two = new(
        Dispatch: [1, 2], Experts: [[5, 3], [4, 6]], Shared: [0.5, 0.25], Combine: [0.1, 0.2],
        RowBytes: [[0, 20], [30, 0]], SumBytes: [[0, 10], [40, 0]], Together: false);

    [Fact]
    public void Over_a_network_messages_travel_while_ranks_compute()
    {
        // Rank 0: own rows to 6; rank 1's left at 2, are there at 2 + 3 + 1 = 6: to 9, its sums there at 9 + 1 + 1 = 11. Shared experts to 9.5.
        // Rank 1: own rows to 8 (2 + 6); rank 0's are there at 1 + 2 + 1 = 4: to 12, its sums there at 12 + 4 + 1 = 17. Shared experts to 12.25.
        // Rank 0 ends at 17 + 0.1, rank 1 at 12.25 + 0.2.
        var time = VirtualRanks.Rows(s_two, new VirtualLink(s_rates, Carries: true));
        Assert.Equal(17.1, time.Seconds, 1e-12);
        Assert.Equal(2 + 10 + 0.25 + 0.2, time.ComputeSeconds, 1e-12);
    }

    [Fact]
    public void In_shared_memory_the_receiver_copies_what_it_waits_for()
    {
        // Rank 0: own rows to 6; rank 1's are there at 3, copied to 9, computed to 12, shared to 12.5; sums of rank 1.
        // Rank 1: own rows to 8; rank 0's are there at 2, copied to 10, computed to 14, shared to 14.25; sums of rank 0, there at 13: to 15.25, to 15.45.
        // Rank 0: rank 1's sums are there at 15, copied to 19, to 19.1.
        Assert.Equal(19.1, VirtualRanks.Rows(s_two, new VirtualLink(s_rates, Carries: false)).Seconds, 1e-12);
    }

    [Fact]
    public void A_ranks_link_carries_one_message_after_another()
    {
        // To rank 1 20 bytes, there at 1 + 2 + 1 = 4; to rank 2 10 more, there at 1 + 2 + 1 + 1 = 5: rank 2 computes them to 8.
        // Its sums of 10 bytes are there at 8 + 1 + 1 = 10; rank 1's at 6 + 1 + 1 = 8.
        long[] none = [0, 0, 0];
        var work = new VirtualWork(
            [1, 0, 0], [[0, 0, 0], [2, 0, 0], [3, 0, 0]], [0, 0, 0], [0, 0, 0], [[0, 20, 10], none, none], [none, [10, 0, 0], [10, 0, 0]], Together: false);
        Assert.Equal(10, VirtualRanks.Rows(work, new VirtualLink(s_rates, Carries: true)).Seconds, 1e-12);
    }

    [Fact]
    public void Few_rows_are_computed_together_once_all_are_there()
    {
        // Rank 0's rows are there at 4, rank 1's at 6: experts from 6 and 4, to 11 and 10; rank 0's sums are there at 13, rank 1's at 15.
        var work = s_two with { Together = true, Experts = [[5, 0], [0, 6]] };
        Assert.Equal(15.1, VirtualRanks.Rows(work, new VirtualLink(s_rates, Carries: true)).Seconds, 1e-12);
    }

    [Fact]
    public void Slices_compute_and_then_add_up()
    {
        var time = VirtualRanks.Slices(s_two with { Experts = [[8, 0], [0, 9]] }, [20, 30], new VirtualLink(s_rates, Carries: true));
        Assert.Equal((11.45 + 3 + 4, 11.45), (Math.Round(time.Seconds, 9), Math.Round(time.ComputeSeconds, 9)));
    }
}
