namespace DualSparse.Kernels.Packing;

/// <summary>A panel of any format, read as steps of f32.</summary>
internal readonly unsafe struct PanelSource(WeightFormatEntry format, byte* panel)
{
    /// <summary>Inputs read in one go: their steps, 8 KiB, are a part of the first-level cache.</summary>
    public const int Inputs = PanelLayout.InputAlignment;

    /// <summary>Widens <see cref="Inputs"/> inputs to [inputs, 32] f32.</summary>
    public void Read(int first, float* steps) => format.Read(panel, first, steps);
}

/// <summary>Widens <see cref="PanelSource.Inputs"/> inputs of a panel from <paramref name="first"/> on, a multiple of them, to f32: a step of 32 floats an input.</summary>
internal unsafe delegate void ReadSteps(byte* panel, int first, float* steps);

/// <summary>Packs the first <paramref name="inputs"/> inputs of what another panel holds; <paramref name="panel"/> must not overlap it.</summary>
internal unsafe delegate void WritePanel(PanelSource source, int inputs, byte* panel);
