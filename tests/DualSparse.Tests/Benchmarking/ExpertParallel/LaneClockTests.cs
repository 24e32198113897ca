using System.Diagnostics;
using DualSparse.Benchmarking.ExpertParallel;

namespace DualSparse.Tests.Benchmarking.ExpertParallel;

public class LaneClockTests
{
    [Fact]
    public void A_wait_interrupts_what_it_is_part_of_and_nothing_is_lost()
    {
        var clock = new LaneClock();
        clock.Waited(1, 2);
        clock.Start(LaneStep.Dispatch);
        Next();
        clock.Switch(LaneStep.Experts);
        Next();
        clock.Switch(LaneStep.Combine);
        Next();
        long from = Stopwatch.GetTimestamp();
        Next();
        long to = Stopwatch.GetTimestamp();
        clock.Waited(from, to);
        Next();
        clock.Stop();
        clock.Waited(to, to + 1);
        var segments = clock.Segments;
        Assert.Equal([LaneStep.Dispatch, LaneStep.Experts, LaneStep.Combine, LaneStep.Waiting, LaneStep.Combine], segments.Select(s => s.Step));
        Assert.Equal(0, segments[0].From);
        Assert.All(segments.Zip(segments.Skip(1)), pair => Assert.Equal(pair.First.To, pair.Second.From));
        Assert.Equal((to - from) / (double)Stopwatch.Frequency, segments[3].Seconds, 1e-12);
        var lane = RankLane.Read(new RankLane(segments, 7, 8, 0.5, 0.25, 0.125).ToNumbers(9));
        Assert.Equal(segments, lane.Segments);
        Assert.Equal((7L, 8L, 0.5, 0.25, 0.125), (lane.RowBytes, lane.SumBytes, lane.ExchangeSeconds, lane.ExchangeWaitSeconds, lane.LoadSeconds));
        Assert.Equal(lane.Seconds, Enum.GetValues<LaneStep>().Sum(lane.Of), 1e-12);
    }

    // A clock has a resolution.
    private static void Next()
    {
        for (long now = Stopwatch.GetTimestamp(); Stopwatch.GetTimestamp() == now;)
            Thread.SpinWait(1);
    }
}
