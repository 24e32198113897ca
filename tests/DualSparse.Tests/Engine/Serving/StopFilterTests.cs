using CsCheck;
using DualSparse.Engine.Serving;

namespace DualSparse.Tests.Engine.Serving;

public class StopFilterTests
{
    [Fact]
    public void A_stop_string_over_several_pieces_is_never_shown()
    {
        var filter = new StopFilter(["\nUser:"]);
        Assert.Equal(["Hi", ".", "", "", ""], new[] { "Hi", ".\n", "Us", "er: what", "ever" }.Select(filter.Push));
        Assert.True(filter.Stopped);
        Assert.Equal("", filter.Flush());
    }

    [Fact]
    public void What_turns_out_harmless_is_shown()
    {
        var filter = new StopFilter(["\nUser:", "aab"]);
        Assert.Equal(["", "\nUse x", "a", "aa", ""], new[] { "\nUse", " x", "aaa", "aa", "b" }.Select(filter.Push));
        Assert.True(filter.Stopped);
    }

    // Few letters, so that beginnings of stop strings are everywhere.
    private static readonly Gen<string> Text = Gen.Char["ab"].Array[0, 20].Select(c => new string(c));

    [Fact]
    public void Shows_what_stands_before_the_first_stop_however_it_is_cut() =>
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
    public void Without_stop_strings_all_passes() => Assert.Equal("text", new StopFilter([]).Push("text"));
}
