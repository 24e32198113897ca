using DualSparse.Models;
using DualSparse.Models.Text;
using DualSparse.Sparsify;

namespace DualSparse.Tests.Sparsify;

/// <summary>The calibration text: the sample that ships, users' files, their windows and the part kept apart.</summary>
public class CalibrationTextTests
{
    private static readonly GenerationDefaults s_generation = new() { EosIds = [0] };

    [Fact]
    public void The_sample_fills_the_default_windows_and_is_no_held_out_text()
    {
        var sample = CalibrationText.Sample();
        Assert.Equal(127, sample.Documents.Count);
        var tokenizer = Tokenizer.Load(TestPaths.Model);
        int[][] windows = sample.Windows(tokenizer, s_generation, CalibrationInput.DefaultContext, CalibrationInput.DefaultWindows);
        Assert.Equal(CalibrationInput.DefaultWindows, windows.Length);
        Assert.All(windows, window => Assert.Equal(CalibrationInput.DefaultContext, window.Length));

        // One stream: documents in order, each with its end.
        int[] stream = [.. windows.SelectMany(w => w)];
        int[] first = tokenizer.Encode(sample.Documents[0], addSpecial: false, allowSpecial: false);
        Assert.Equal(first, stream[..first.Length]);
        Assert.Equal(0, stream[first.Length]);
        Assert.Equal(windows[..3], sample.Windows(tokenizer, s_generation, CalibrationInput.DefaultContext, 3));
    }

    [Fact]
    public void Files_are_documents_and_a_text_too_short_is_refused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("a.txt"), "one\r\n<|endoftext|>\r\n\r\ntwo\n\nmore\n<|endoftext|>\n");
        File.WriteAllText(folder.File("b.txt"), "three");
        File.WriteAllText(folder.File("empty.txt"), "\n<|endoftext|>\n");
        var text = CalibrationText.Read([folder.File("a.txt"), folder.File("b.txt")]);
        Assert.Equal(["one", "two\n\nmore", "three"], text.Documents);
        Assert.Equal("a.txt, b.txt", text.Name);
        var tokenizer = Tokenizer.Load(TestPaths.Model);
        Assert.Contains("too few", Assert.Throws<ArgumentException>(() => text.Windows(tokenizer, s_generation, 512, 1)).Message);
        Assert.Throws<ModelFormatException>(() => CalibrationText.Read([folder.File("empty.txt")]));
        Assert.Throws<ModelFormatException>(() => CalibrationText.Read([folder.File("none.txt")]));
    }

    [Fact]
    public void What_is_no_utf8_is_refused_with_its_place()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("latin1.txt"), [.. "caf"u8, 0xe9, .. " noir"u8]);
        string message = Assert.Throws<ModelFormatException>(() => CalibrationText.Read([folder.File("latin1.txt")])).Message;
        Assert.Contains("latin1.txt", message);
        Assert.Contains("0xe9 at offset 3", message);
        File.WriteAllBytes(folder.File("cut.txt"), [.. "caf"u8, 0xc3]);
        Assert.Contains("offset 3", Assert.Throws<ModelFormatException>(() => CalibrationText.Read([folder.File("cut.txt")])).Message);
        File.WriteAllBytes(folder.File("marked.txt"), [0xef, 0xbb, 0xbf, .. "café 🙂"u8]);
        Assert.Equal(["café 🙂"], CalibrationText.Read([folder.File("marked.txt")]).Documents);
    }

    [Fact]
    public void Every_fourth_window_is_kept_apart()
    {
        int[][] windows = [.. Enumerable.Range(0, 10).Select(w => new[] { w })];
        var split = CalibrationSplit.Interleaved(windows);
        Assert.Equal([3, 7], split.HeldOut.Select(w => w[0]));
        Assert.Equal([0, 1, 2, 4, 5, 6, 8, 9], split.Calibration.Select(w => w[0]));
    }

    [Fact]
    public void Given_ids_calibrate_whole_and_the_sample_stands_beside_them()
    {
        string ids = TestPaths.Golden("eval", "importance.safetensors");
        var (windows, source) = new CalibrationInput(ids, Windows: 8).Read(TestPaths.Model);
        Assert.Equal((128, 2, "importance.safetensors"), (windows.Calibration.Count, windows.HeldOut.Count, source));
        Assert.Empty(new CalibrationInput(ids).Read(TestPaths.Golden("olmoe")).Windows.HeldOut);
        Assert.Throws<ArgumentException>(() => new CalibrationInput(ids, ["a.txt"]).Read(TestPaths.Model));
        Assert.Throws<ArgumentException>(() => new CalibrationInput(ContextTokens: 513).Read(TestPaths.Model));
    }

    [Fact]
    public void A_marker_is_a_line_wherever_it_stands()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("a.txt"), "<|endoftext|>\none\n<|endoftext|>\n<|endoftext|>\ntwo <|endoftext|> of\n<|endoftext|>");
        Assert.Equal(["one", "two <|endoftext|> of"], CalibrationText.Read([folder.File("a.txt")]).Documents);
    }

    [Fact]
    public void Windows_that_predict_nothing_are_refused_before_the_work()
    {
        using var folder = new TemporaryFolder();
        int[][] windows = [[1], [2], [3], [4]];
        var error = Assert.Throws<ArgumentException>(() => Sparsifier.Run(TestPaths.Golden("olmoe"), folder.File("out"), new CalibrationSplit(windows, windows), "ids", cancel: TestContext.Current.CancellationToken));
        Assert.Contains("use windows of 2 tokens or more", error.Message);
    }
}
