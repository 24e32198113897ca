using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Text;
using DualSparse.Training.Data;

namespace DualSparse.Tests.Training;

/// <summary>Texts as one stream of ids, and its windows.</summary>
public sealed class TokenStreamTests : IDisposable
{
    private static readonly Tokenizer s_tokenizer = Tokenizer.Load(TestPaths.Model);

    private readonly TemporaryFolder folder = new();
    private readonly ThreadTeam team = new(2);

    [Fact]
    public void Documents_are_joined_by_the_end_of_text_and_lose_the_line_ends_around_them()
    {
        string a = Write("a.txt", "\none\r\n<|endoftext|>\r\n\r\ntwo\n\nmore\n<|endoftext|>\n\n<|endoftext|>\n"), b = Write("b.txt", "three, <|endoftext|> and more");
        var stream = TokenStream.Encode([a, b], s_tokenizer, 0, team);
        Assert.Equal([.. Ids("one"), 0, .. Ids("two\n\nmore"), 0, .. Ids("three, <|endoftext|> and more"), 0], All(stream));
        Assert.Equal([a, b], stream.Files.Select(file => file.Path));
        Assert.Equal(new FileInfo(a).Length, stream.Files[0].Bytes);
        Assert.Equal(Ids("one").Length + Ids("two\n\nmore").Length, TokenStream.Encode([a], s_tokenizer, null, team).Count);
    }

    // Of a megabyte: pieces are cut inside it, each where the tokenizer doesn't see it.
    [Fact]
    public void A_long_document_has_the_tokens_of_the_whole()
    {
        string text = string.Concat(Enumerable.Repeat(TinyRun.SampleText.Replace("<|endoftext|>", "—", StringComparison.Ordinal), 3)).Trim('\n');
        int cuts = 0;
        var reader = new DocumentReader(Write("long.txt", text), (_, _) => ++cuts > 0);
        Assert.InRange(reader.Read().Count(), 3, 6);
        Assert.InRange(cuts, 2, 5);
        Assert.Equal(Ids(text), All(TokenStream.Encode([folder.File("long.txt")], s_tokenizer, null, team)));
    }

    // One that puts a space before every text sees every cut.
    [Fact]
    public void A_tokenizer_that_sees_cuts_gets_whole_documents()
    {
        string json = File.ReadAllText(Path.Combine(TestPaths.Model, "tokenizer.json")).Replace("\"add_prefix_space\": false", "\"add_prefix_space\": true", StringComparison.Ordinal);
        var tokenizer = Tokenizer.Load(Write("tokenizer.json", json));
        string text = TinyRun.SampleText.Replace("<|endoftext|>", "—", StringComparison.Ordinal).Trim('\n');
        Assert.NotEqual(Ids("a"), tokenizer.Encode("a"));
        Assert.Equal(tokenizer.Encode(text, addSpecial: false, allowSpecial: false), All(TokenStream.Encode([Write("text.txt", text)], tokenizer, null, team)));
    }

    [Fact]
    public void What_is_no_text_is_refused()
    {
        File.WriteAllBytes(folder.File("odd"), [.. new byte[70_000].Select(_ => (byte)'x'), 0xFF]);
        Assert.Contains("0xff at offset 70000", Refused("odd"));
        File.WriteAllText(folder.File("wide"), "wide", System.Text.Encoding.Unicode);
        Assert.Contains("UTF-16", Refused("wide"));
        Assert.Contains("no such file", Refused("none"));

        string Refused(string name) => Assert.Throws<ModelFormatException>(() => TokenStream.Encode([folder.File(name)], s_tokenizer, 0, team)).Message;
    }

    [Fact]
    public void Windows_follow_each_other_and_the_last_are_held_out()
    {
        var stream = TokenStream.Encode([Write("text.txt", TinyRun.SampleText[..20_000])], s_tokenizer, 0, team);
        int[] ids = All(stream);
        var data = new TrainingData(new TextWindows(stream, 16, "text"), null, share: 0.25, most: 5, seed: 3);
        int windows = (ids.Length - 1) / 16, kept = windows / 4;
        Assert.Equal((windows - kept, 5), (data.Windows, data.HeldOutWindows));
        var epoch = data.Batch(0, data.Windows);
        var expected = Enumerable.Range(0, data.Windows).Select(w => string.Join(' ', ids[(w * 16)..(w * 16 + 17)])).Order(StringComparer.Ordinal);
        Assert.Equal(expected, Enumerable.Range(0, data.Windows).Select(w => string.Join(' ', [.. epoch.Inputs[(w * 16)..(w * 16 + 16)], epoch.Targets[w * 16 + 15]])).Order(StringComparer.Ordinal));
        Assert.Equal(epoch.Inputs[1..16], epoch.Targets[..15]);
        int[][] held = [.. data.HeldOut(2).SelectMany(batch => batch.Inputs.Chunk(16))];
        Assert.Equal(5, held.Length);
        Assert.Equal(ids[(data.Windows * 16)..(data.Windows * 16 + 16)], held[0]);
    }

    [Fact]
    public void Each_epoch_has_an_order_of_its_own_that_a_resumed_run_finds_again()
    {
        const int windows = 101;
        var order = new WindowOrder(windows, 5);
        int[] places = [.. Enumerable.Range(0, 3 * windows).Select(i => order.At(i))];
        foreach (int[] epoch in places.Chunk(windows))
            Assert.Equal(Enumerable.Range(0, windows), epoch.Order());
        Assert.NotEqual(places[..windows], places[windows..(2 * windows)]);
        Assert.NotEqual(places[..windows], [.. Enumerable.Range(0, windows).Select(i => new WindowOrder(windows, 6).At(i))]);
        Assert.Equal(places[150], new WindowOrder(windows, 5).At(150));
    }

    public void Dispose()
    {
        team.Dispose();
        folder.Dispose();
    }

    private static int[] Ids(string text) => s_tokenizer.Encode(text, addSpecial: false, allowSpecial: false);

    private static int[] All(TokenStream stream)
    {
        int[] ids = new int[stream.Count];
        stream.Copy(0, ids);
        return ids;
    }

    private string Write(string name, string text)
    {
        File.WriteAllText(folder.File(name), text);
        return folder.File(name);
    }
}
