using CsCheck;
using DualSparse.Engine.Serving;

namespace DualSparse.Tests.Engine.Serving;

public class StopFilterTests
{
    [Fact]
    public void AStopStringOverSeveralPiecesIsNeverShown()
    {
        var filter = new StopFilter(["\nUser:"]);
        Assert.Equal(["Hi", ".", "", "", ""], new[] { "Hi", ".\n", "Us", "er: what", "ever" }.Select(filter.Push));
        Assert.True(filter.Stopped);
        Assert.Equal("", filter.Flush());
    }

    [Fact]
    public void WhatTurnsOutHarmlessIsShown()
    {
        var filter = new StopFilter(["\nUser:", "aab"]);
        Assert.Equal(["", "\nUse x", "a", "aa", ""], new[] { "\nUse", " x", "aaa", "aa", "b" }.Select(filter.Push));
        Assert.True(filter.Stopped);
    }

    // Few letters, so that beginnings of stop strings are everywhere.
    private static readonly Gen<string> Text = Gen.Char["ab"].Array[0, 20].Select(c => new string(c));

    [Fact]
    public void ShowsWhatStandsBeforeTheFirstStopHoweverItIsCut() =>
        Gen.Select(Text.Array[0, 8], Text.Where(t => t.Length > 0).Array[0, 3]).Sample((pieces, stops) =>
        {
            string whole = string.Concat(pieces);
            var found = stops.Select(s => whole.IndexOf(s, StringComparison.Ordinal)).Where(i => i >= 0).ToArray();
            var filter = new StopFilter(stops);
            string shown = string.Concat(pieces.Select(filter.Push)) + filter.Flush();
            Assert.Equal(found.Length > 0, filter.Stopped);
            // The stop that ends first is found; another that began before it, but ends later, is not waited for.
            Assert.StartsWith(shown, whole, StringComparison.Ordinal);
            Assert.DoesNotContain(stops, s => shown.Contains(s, StringComparison.Ordinal));
            if (found.Length == 0)
                Assert.Equal(whole, shown);
        });

    [Fact]
    public void WithoutStopStringsAllPasses() => Assert.Equal("text", new StopFilter([]).Push("text"));
}
