namespace DualSparse.Models;

/// <summary>
/// The vision tower of a vision-language model, which makes rows of the text model out of pictures: blocks of attention over a picture's patches,
/// x += attention(norm(x)); x += mlp(norm(x)), norms being layer norms with weight and bias, and mergers that make one row of some patches.
/// </summary>
internal sealed record VisionConfig
{
    /// <summary>What layer norms add to the variance: a constant of the implementations, in no file.</summary>
    public const float NormEpsilon = 1e-6f;

    /// <summary>Blocks.</summary>
    public required int Layers { get; init; }

    /// <summary>Width of a patch's row.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Heads of attention.</summary>
    public required int Heads { get; init; }

    /// <summary>Neurons of a block's MLP.</summary>
    public required int Intermediate { get; init; }

    /// <summary>Colours of a pixel.</summary>
    public required int Channels { get; init; }

    /// <summary>Pixels along a patch's side.</summary>
    public required int PatchSize { get; init; }

    /// <summary>Pictures that follow one another in time and share a patch.</summary>
    public required int PatchFrames { get; init; }

    /// <summary>Patches along the side of a square that becomes one row of the text model.</summary>
    public required int Merge { get; init; }

    /// <summary>Position embeddings along a side of the square grid that pictures are laid over.</summary>
    public required int GridSide { get; init; }

    /// <summary>The blocks whose outputs also become rows, which are added behind the text model's first layers: the first's behind layer 0.</summary>
    public required IReadOnlyList<int> DeepLayers { get; init; }

    /// <summary>The base of the rotary frequencies.</summary>
    public required double Theta { get; init; }

    /// <summary>The id that stands for a row of a picture.</summary>
    public required int ImageToken { get; init; }

    /// <summary>The id that stands for a row of a film, which isn't implemented.</summary>
    public required int VideoToken { get; init; }

    /// <summary>The id before a picture's rows.</summary>
    public required int StartToken { get; init; }

    /// <summary>The id behind them.</summary>
    public required int EndToken { get; init; }

    /// <summary>Width of a head.</summary>
    public int HeadSize => HiddenSize / Heads;

    /// <summary>Numbers of a patch: its pixels' colours.</summary>
    public int PatchValues => Channels * PatchFrames * PatchSize * PatchSize;

    /// <summary>Patches that become one row of the text model.</summary>
    public int MergedPatches => Merge * Merge;

    /// <summary>Width of these patches' rows side by side.</summary>
    public int MergedSize => MergedPatches * HiddenSize;

    /// <summary>
    /// The angle in radians by which each pair of a head turns from one row of patches to the next, for the first half of the pairs, and from one column
    /// to the next, for the other: [head size / 2].
    /// </summary>
    public float[] InverseFrequencies()
    {
        float[] half = new RopeConfig { Theta = Theta, Size = HeadSize / 2 }.InverseFrequencies();
        return [.. half, .. half];
    }
}
