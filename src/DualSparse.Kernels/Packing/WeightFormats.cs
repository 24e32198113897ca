namespace DualSparse.Kernels.Packing;

/// <summary>
/// THE table of weight formats: their properties, in the order of <see cref="WeightFormat"/>. <see cref="PanelLayout"/> describes where the
/// bytes are.
/// </summary>
internal static unsafe class WeightFormats
{
    private static readonly WeightFormatEntry[] Table =
    [
        new(WeightFormat.F32, "f32", bits: 32, outputScale: 0, groupScale: 0, cache: WeightFormat.F32, PanelPacker.PackF32, StepReader.ReadF32, StepWriter.WriteF32),
        new(WeightFormat.Bf16, "bf16", bits: 16, outputScale: 0, groupScale: 0, cache: WeightFormat.Bf16, PanelPacker.PackBf16, StepReader.ReadBf16, StepWriter.WriteBf16),
        new(WeightFormat.Int8, "int8", bits: 8, outputScale: 4, groupScale: 0, cache: WeightFormat.Bf16, PanelPacker.PackInt8, StepReader.ReadInt8, StepWriter.WriteInt8),
        new(WeightFormat.Int4, "int4", bits: 4, outputScale: 0, groupScale: 2, cache: WeightFormat.Bf16, PanelPacker.PackInt4, StepReader.ReadInt4, StepWriter.WriteInt4),
    ];

    /// <summary>Every format.</summary>
    public static IReadOnlyList<WeightFormatEntry> All => Table;

    /// <summary>The entry of a format.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such format.</exception>
    public static WeightFormatEntry Of(WeightFormat format) =>
        (uint)format < (uint)Table.Length ? Table[(int)format] : throw new ArgumentOutOfRangeException(nameof(format), format, "not a weight format");

    /// <summary>The format with a name; null if there is none.</summary>
    public static WeightFormat? Named(string name) => Array.Find(Table, entry => entry.Name == name)?.Format;
}

/// <summary>The properties of one weight format.</summary>
internal sealed class WeightFormatEntry
{
    internal WeightFormatEntry(
        WeightFormat format, string name, int bits, int outputScale, int groupScale, WeightFormat cache, PackRows pack, ReadSteps read, WritePanel write)
    {
        Format = format;
        Name = name;
        Bits = bits;
        OutputScaleBytes = outputScale;
        GroupScaleBytes = groupScale;
        Cache = cache;
        StepInputs = 32 / bits;
        HeaderBytes = PanelLayout.Columns * outputScale;
        InputBytes = PanelLayout.Columns * bits / 8 + PanelLayout.Columns * groupScale / PanelLayout.GroupInputs;
        Pack = pack;
        Read = read;
        Write = write;
    }

    /// <summary>The format.</summary>
    public WeightFormat Format { get; }

    /// <summary>Its name on the command line and in reports.</summary>
    public string Name { get; }

    /// <summary>Bits of one weight, without scales.</summary>
    public int Bits { get; }

    /// <summary>Bytes of the one scale of an output; a panel's scales precede its first step. 0: there is none.</summary>
    public int OutputScaleBytes { get; }

    /// <summary>
    /// Bytes of the scale that <see cref="PanelLayout.GroupInputs"/> inputs of an output share; a panel's scales precede the group's steps.
    /// 0: there is none.
    /// </summary>
    public int GroupScaleBytes { get; }

    /// <summary>The format of the KV cache of a model with such weights.</summary>
    public WeightFormat Cache { get; }

    /// <summary>Inputs of an output in one step, whose bytes are four.</summary>
    public int StepInputs { get; }

    /// <summary>Bytes before a panel's first step or group.</summary>
    public int HeaderBytes { get; }

    /// <summary>Bytes of a panel for each input of its 32 outputs, scales of groups included: whole for every format.</summary>
    public int InputBytes { get; }

    /// <summary>Bytes of one weight with its share of its group's scale; an output's own scale, one for thousands of weights, isn't counted.</summary>
    public double WeightBytes => (double)InputBytes / PanelLayout.Columns;

    /// <summary>Packs rows, as they come from a checkpoint.</summary>
    internal PackRows Pack { get; }

    /// <summary>Widens a panel's steps.</summary>
    internal ReadSteps Read { get; }

    /// <summary>Packs what another panel holds.</summary>
    internal WritePanel Write { get; }

    /// <summary>Bytes of one panel over <paramref name="inputs"/> inputs, a multiple of <see cref="PanelLayout.InputAlignment"/>.</summary>
    public nint PanelBytes(int inputs) => HeaderBytes + (nint)inputs * InputBytes;

    /// <summary>Bytes of a matrix [outputs, inputs] with its scales and without padding; 0 where it has no weight.</summary>
    public double MatrixBytes(int outputs, int inputs) => inputs == 0 ? 0 : outputs * (inputs * WeightBytes + OutputScaleBytes);
}

/// <summary>Packs [32, <paramref name="inputs"/>] f32, dense, into a panel.</summary>
internal unsafe delegate void PackRows(float* rows, int inputs, byte* panel);
