using DualSparse.Engine;
using DualSparse.Engine.Vision;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;
using DualSparse.Models.Pictures;

namespace DualSparse.Tests.Engine.Vision;

public class TextPicturesTests(GoldenModels models)
{
    private const int Image = 300;

    [Fact]
    public void Tokens_of_a_picture_have_one_time_and_text_counts_on_behind_its_longer_side()
    {
        var pictures = TextPictures.Of([7, Image, Image, Image, Image, Image, Image, 8, 9, Image, Image, 3], Image, [Picture(2, 3), Picture(2, 1)])!;
        GridPlace[] expected =
        [
            new(0, 0, 0),
            new(1, 1, 1), new(1, 1, 2), new(1, 1, 3), new(1, 2, 1), new(1, 2, 2), new(1, 2, 3),
            new(4, 4, 4), new(5, 5, 5),
            new(6, 6, 6), new(6, 7, 6),
            new(8, 8, 8), new(9, 9, 9),
        ];
        Assert.Equal(expected, Enumerable.Range(0, expected.Length).Select(pictures.Place));
    }

    [Fact]
    public void A_chunk_has_the_parts_of_pictures_that_lie_in_it()
    {
        var pictures = TextPictures.At([(2, Picture(2, 3)), (8, Picture(1, 2))]);
        Assert.Equal([(0, 2, 4), (4, 0, 1)], pictures.In(4, 5).Select(part => (part.Row, part.Token, part.Count)));
        Assert.Empty(pictures.In(0, 2));
        Assert.Empty(pictures.In(10, 50));
        Assert.Null(pictures.Before(2));
        Assert.Equal([2], pictures.Before(8)!.All.Select(one => one.First));
    }

    // Where they are the most, ranks may compute in a lower precision.
    [Fact]
    public void Rows_of_pictures_are_marked_in_every_chunk()
    {
        using var loan = models.Borrow("vl/qwen3_vl_moe", WeightFormat.F32);
        using var team = new ThreadTeam(1);
        using var work = new Workspace(team, KernelSet.Best());
        using var pass = new Pass(loan.Model.Config, work);
        using KvCache text = loan.Model.NewCache(64), pictures = loan.Model.NewCache(64);
        var placed = TextPictures.At([(1, Picture(1, 2)), (4, Picture(2, 2))]);
        pass.Begin([new Segment(text, 0, 2), new Segment(pictures, 2, 6, Pictures: placed)], null);
        Assert.Equal([false, false, false, true, true, false, true, true], pass.Marks.ToArray());
        pass.Begin([new Segment(text, 0, 2)], null);
        Assert.True(pass.Marks.IsEmpty);
    }

    [Fact]
    public void Tokens_must_stand_for_the_pictures_side_by_side()
    {
        Refused([1, Image], [], "the text has 1 tokens that stand for pictures, expected 0");
        Refused([1, Image], [Picture(1, 2)], "the text has 1 tokens that stand for pictures, expected 2, those of its 1 pictures");
        Refused([Image, 4, Image], [Picture(1, 2)], "picture 1 of the text has 2 tokens, expected them side by side");
        Assert.Null(TextPictures.Of([1, 2], Image, []));

        static void Refused(int[] ids, PictureRows[] pictures, string expected) =>
            Assert.Contains(expected, Assert.Throws<ArgumentException>(() => TextPictures.Of(ids, Image, pictures)).Message);
    }

    [Theory]
    [InlineData(2, 4, 6, "a picture has 2 frames, expected 1")]
    [InlineData(1, 3, 6, "a picture has 3 × 6 patches, expected multiples of 2")]
    [InlineData(1, 4, 4, "has 2304 values, expected 96 a patch")]
    public void Patches_of_another_model_are_refused(int frames, int rows, int columns, string expected)
    {
        using var loan = models.Borrow("vl/qwen3_vl_moe", WeightFormat.F32);
        var picture = new PicturePatches(new PatchGrid(frames, rows, columns), new float[24 * 96]);
        Assert.Contains(expected, Assert.Throws<ArgumentException>(() => loan.Model.Encode(picture)).Message);
    }

    [Fact]
    public void A_model_of_texts_reads_no_picture()
    {
        using var loan = models.Borrow("qwen3_moe", WeightFormat.F32);
        var error = Assert.Throws<ArgumentException>(() => loan.Model.Encode(new PicturePatches(new PatchGrid(1, 2, 2), new float[4 * 96])));
        Assert.Contains("this model (qwen3_moe) reads text only", error.Message);
    }

    // Two texts with two pictures each, the second's in the other order.
    [Fact]
    public void Logits_are_the_same_on_any_number_of_threads_in_chunks_and_in_a_batch()
    {
        using GoldenModels.Loan ofOne = models.Borrow("vl/qwen3_vl_moe", threads: 1), ofThree = models.Borrow("vl/qwen3_vl_moe", threads: 3);
        Transformer one = ofOne.Model, three = ofThree.Model;
        var vision = one.Config.Vision!;
        var (ids, patches) = VisionReferenceTests.Sample(vision, [6, 10, 4, 2, 8, 3]);
        PictureRows[] rows = [.. patches.Select(one.Encode)], others = [.. patches.Select(three.Encode)];
        Assert.All(rows.Zip(others), pair => Assert.All(pair.First.Levels.Zip(pair.Second.Levels), level => Assert.Equal(level.First, level.Second)));
        var (swapped, _) = VisionReferenceTests.Sample(vision, [2, 8, 4, 6, 10, 3]);
        var pictures = TextPictures.Of(ids, vision.ImageToken, rows)!;
        var reversed = TextPictures.Of(swapped, vision.ImageToken, [rows[1], rows[0]])!;
        float[] whole = Run(one, ids, pictures, ids.Length);
        foreach (int chunk in new[] { 1, 5, 16 })
            Assert.Equal(whole, Run(three, ids, pictures, chunk));
        using KvCache a = three.NewCache(64), b = three.NewCache(64);
        float[] both = three.Forward([new SequenceChunk(a, swapped, LogitRows.All, Pictures: reversed), new SequenceChunk(b, ids, LogitRows.All, Pictures: pictures)]).ToArray();
        Assert.Equal(whole, both[(both.Length / 2)..]);
        Assert.Equal(Run(one, swapped, reversed, 7), both[..(both.Length / 2)]);
        Assert.NotEqual(whole, both[..(both.Length / 2)]);
    }

    private static float[] Run(Transformer model, int[] ids, TextPictures pictures, int chunk)
    {
        using var cache = model.NewCache(64);
        List<float> logits = [];
        for (int i = 0; i < ids.Length; i += chunk)
            logits.AddRange(model.Forward([new SequenceChunk(cache, ids.AsMemory(i, Math.Min(chunk, ids.Length - i)), LogitRows.All, Pictures: pictures)]));
        return [.. logits];
    }

    private static PictureRows Picture(int rows, int columns) => new(rows, columns, [new float[rows * columns]]);
}
