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
        Assert.Equal("\nUser:", filter.Stop);
        Assert.Equal("", filter.Flush());
    }

    [Fact]
    public void What_turns_out_harmless_is_shown()
    {
        var filter = new StopFilter(["\nUser:", "aab"]);
        Assert.Equal(["", "\nUse x", "a", "aa", ""], new[] { "\nUse", " x", "aaa", "aa", "b" }.Select(filter.Push));
        Assert.Equal("aab", filter.Stop);
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
            Assert.Equal(found.Length > 0, filter.Stop is not null);
            // The stop that ends first is found; another that began before it, but ends later, is not waited for.
            Assert.StartsWith(shown, whole, StringComparison.Ordinal);
            Assert.DoesNotContain(stops, s => shown.Contains(s, StringComparison.Ordinal));
            if (found.Length == 0)
                Assert.Equal(whole, shown);
        });

    [Fact]
    public void Stop_strings_are_found_in_special_tokens_which_are_not_shown()
    {
        var filter = new StopFilter(["k<|end|>", "<|end|>z"]);
        Assert.Equal(["o", "", ""], [filter.Push("o"), filter.Push("k"), filter.PushHidden("<|end|>")]);
        Assert.Equal(("k<|end|>", ""), (filter.Stop, filter.Flush()));

        filter = new StopFilter(["<|end|>z"]);
        Assert.Equal(["ok", "", "y"], [filter.Push("ok"), filter.PushHidden("<|end|>"), filter.Push("y")]);
        Assert.Equal(["", ""], [filter.PushHidden("<|end|>"), filter.Push("z")]);
        Assert.Equal("<|end|>z", filter.Stop);
        Assert.Equal("", new StopFilter(["x"]).PushHidden("<|end|>"));
    }

    // Every piece is shown or not: what is let through is what is shown of the text before the stop.
    [Fact]
    public void What_is_not_shown_is_not_let_through_however_it_is_cut() =>
        Gen.Select(Gen.Select(Text, Gen.Bool).Array[0, 8], Text.Where(t => t.Length > 0).Array[0, 3]).Sample((pieces, stops) =>
        {
            var filter = new StopFilter(stops);
            string shown = string.Concat(pieces.Select(p => p.Item2 ? filter.Push(p.Item1) : filter.PushHidden(p.Item1))) + filter.Flush();
            string whole = string.Concat(pieces.Where(p => p.Item2).Select(p => p.Item1));
            Assert.StartsWith(shown, whole, StringComparison.Ordinal);
            if (filter.Stop is null)
                Assert.Equal(whole, shown);
            Assert.Equal(stops.Any(string.Concat(pieces.Select(p => p.Item1)).Contains), filter.Stop is not null);
        });

    [Fact]
    public void Without_stop_strings_all_passes() => Assert.Equal("text", new StopFilter([]).Push("text"));
}
