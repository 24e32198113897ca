namespace DualSparse.Tests.Docs;

/// <summary>
/// Numbers of the documents are those of committed results. With the environment variable DUALSPARSE_UPDATE_DOCS at 1 the test writes
/// the documents and the picture instead of comparing them.
/// </summary>
public class DocumentNumberTests
{
    private static readonly IReadOnlyList<NumberBinding> s_bindings = NumberBinding.Read(TestPaths.InRepository("docs", "numbers.txt"));

    private static bool Updates => Environment.GetEnvironmentVariable("DUALSPARSE_UPDATE_DOCS") == "1";

    public static TheoryData<string> Documents =>
        ["README.md", .. Directory.GetFiles(TestPaths.InRepository("docs"), "*.md").Select(file => $"docs/{Path.GetFileName(file)}")];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Numbers_are_those_of_the_results(string document)
    {
        var text = new DocumentText(document, s_bindings);
        var (filled, mistakes) = text.Filled();
        Assert.Empty(mistakes);
        if (Updates)
            File.WriteAllText(text.Path, filled);
        string before = File.ReadAllText(text.Path);
        foreach (var (now, then) in filled.Split('\n').Zip(before.Split('\n')))
            Assert.True(now == then, $"{document}'s numbers are not the results'; DUALSPARSE_UPDATE_DOCS=1 writes them.\n says: {then}\nresult: {now}");
        Assert.Equal(filled, before);
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public void Every_number_has_a_source(string document)
    {
        string text = File.ReadAllText(TestPaths.InRepository(document.Split('/')));
        Assert.Empty(new DocumentText(document, s_bindings).Loose(text));
    }

    [Fact]
    public void Bindings_name_documents_that_are_compared() =>
        Assert.Empty(s_bindings.Select(b => b.Document).Distinct().Except(Documents.Select(d => (string)d.Data)));

    [Fact]
    public void The_picture_is_drawn_from_the_results()
    {
        string path = TestPaths.InRepository("docs", "loss-and-time.svg"), drawn = LossTimePicture.Draw();
        if (Updates)
            File.WriteAllText(path, drawn);
        Assert.Equal(drawn, File.ReadAllText(path));
    }

    [Theory]
    [InlineData("benchmarks/results/amd-epyc-zen4/layer-olmoe-bf16.md; tokens=4096; drop~25%; time(r)/time(0)")]
    [InlineData("benchmarks/results/amd-epyc-zen4/ort-qmoe.md; **int8**; tokens=32; theirs / ours")]
    [InlineData("benchmarks/results/amd-epyc-zen4/ort-qmoe.md; **int4**; max theirs / ours")]
    [InlineData("docs/results/drop-0.25.json; texts.books.kl.value")]
    [InlineData("docs/results/methods.json; sweep[text=books][method=2t].kl.low")]
    [InlineData("docs/results/methods.json; max sweep[*].dropRate")]
    public void A_source_leads_to_a_number(string source) => Assert.True(ResultNumber.Of(source) > 0);

    [Theory]
    [InlineData("docs/results/nothing.json; texts")]
    [InlineData("docs/results/drop-0.25.json; texts.poems.kl.value")]
    [InlineData("benchmarks/results/amd-epyc-zen4/ort-qmoe.md; tokens=32; theirs / ours")]
    [InlineData("benchmarks/results/amd-epyc-zen4/ort-qmoe.md; **int8**; tokens=33; theirs / ours")]
    [InlineData("benchmarks/results/amd-epyc-zen4/ort-qmoe.md; **int8**; tokens=32; no column")]
    [InlineData("benchmarks/results/amd-epyc-zen4/ort-qmoe.md; no table; tokens~32; theirs / ours")]
    public void A_source_that_leads_nowhere_is_an_error(string source) => Assert.Throws<FormatException>(() => ResultNumber.Of(source));

    [Fact]
    public void A_number_without_a_source_is_found()
    {
        var text = new DocumentText("x.md", [new NumberBinding("x.md", "takes {0.00} of", ["a"]), new NumberBinding("x.md", "version 1.0", [])]);
        Assert.Equal(["x.md:2: 0.75", "x.md:3: 1,335"], text.Loose("It takes 0.76 of `0.3`, version 1.0, [x](y1.2.md)\nand 0.75 of\n1,335 or 512\n```\n0.1\n```\n"));
    }
}
